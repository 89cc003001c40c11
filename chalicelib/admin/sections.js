// Every screen of the page, once. What stands here is in the menu, in the palette and in the address bar; a screen's
// file is loaded when somebody goes there. `found`: in the palette, not in the menu. `needs` is the permission without
// which it is not shown.
// Sections of settings whose form is made from their schema: what they are for, and whether the menu has them.
const SETTINGS = [
  ['auto_order_processing', 'Auto Order Processing', 'How auto orders are billed, retried, shipped and announced.', true],
  ['merchant', 'Shop', 'Its name, zone, sender and the pages that may call it.', true],
  ['shipping_methods', 'Shipping methods', 'How orders go out, where to and at what cost.'],
  ['taxes', 'Taxes', 'Sales tax by country, state and postal code.'],
  ['rotating_transaction_gateways', 'Rotating gateways', 'Which payment account takes a charge, and which one after a decline.'],
  ['loyalty_program', 'Loyalty program', 'What customers earn by their orders, and what it is redeemed for.'],
  ['pricing_tiers', 'Pricing tiers', 'Terms by which dealers, friends and staff buy.'],
  ['customer_profiles', 'Customer profiles', 'Who has a profile, what it keeps, how dealers sign up.'],
];
export const sections = [
  { path: '/', title: 'Home', menu: true, load: () => import('./home.js'), needs: 'auto_order_read' },
  { path: '/auto_orders', title: 'Auto orders', menu: true, load: () => import('./auto_orders.js'), needs: 'auto_order_read' },
  { path: '/auto_orders/:oid', title: 'Auto order', in: '/auto_orders', load: () => import('./auto_order.js'), needs: 'auto_order_read' },
  { path: '/customers', title: 'Customers', menu: true, load: () => import('./customers.js'), needs: 'customer_read' },
  { path: '/customers/exports', title: 'Export customers', in: '/customers', found: true, load: () => import('./exports.js'), needs: 'customer_read' },
  { path: '/customers/imports', title: 'Import customers', in: '/customers', found: true, load: () => import('./imports.js'), needs: 'customer_read' },
  { path: '/customers/imports/:import_id', title: 'Import', in: '/customers', load: () => import('./import.js'), needs: 'customer_read' },
  { path: '/customers/:oid', title: 'Customer', in: '/customers', load: () => import('./customer.js'), needs: 'customer_read' },
  { path: '/orders', title: 'Orders', menu: true, load: () => import('./orders.js'), needs: 'order_read' },
  { path: '/orders/:order_id', title: 'Order', in: '/orders', load: () => import('./order.js'), needs: 'order_read' },
  { path: '/rehearsal', title: "Tonight's run", menu: true, load: () => import('./rehearsal.js'), needs: 'auto_order_read' },
  { path: '/reports', title: 'Reports', menu: true, load: () => import('./reports.js'), needs: 'auto_order_read' },
  { path: '/configuration', title: 'All settings', group: 'Configuration', menu: true, load: () => import('./configuration.js'), needs: 'configuration_read' },
  ...SETTINGS.map(([settings, title, about, menu]) => ({ path: `/configuration/${settings}`, title, about, settings, group: 'Configuration', menu, found: true, in: menu ? undefined : '/configuration', load: () => import('./settings.js'), needs: 'configuration_read' })),
  { path: '/configuration/cancel_links', title: 'Cancel links', group: 'Configuration', menu: true, load: () => import('./cancel_links.js'), needs: 'configuration_read' },
  { path: '/configuration/notices', title: 'E-mails', group: 'Configuration', menu: true, load: () => import('./notices.js'), needs: 'configuration_read' },
  { path: '/configuration/notices/:template', title: 'E-mail', in: '/configuration/notices', load: () => import('./notice.js'), needs: 'configuration_read' },
  { path: '/configuration/users', title: 'Users', group: 'Configuration', menu: true, load: () => import('./users.js'), needs: 'user_read' },
  { path: '/configuration/users/:user_id', title: 'User', in: '/configuration/users', load: () => import('./user.js'), needs: 'user_read' },
  { path: '/configuration/api_keys', title: 'API keys', group: 'Configuration', menu: true, load: () => import('./api_keys.js'), needs: 'user_read' },
  { path: '/configuration/activity', title: 'Activity', group: 'Configuration', menu: true, load: () => import('./activity.js'), needs: 'user_read' },
  { path: '/account', title: 'Your account', load: () => import('./account.js') },
  { path: '/webhooks', title: 'Webhooks', group: 'Configuration', menu: true, load: () => import('./webhooks.js'), needs: 'webhook_read' },
  { path: '/webhooks/:oid', title: 'Webhook', in: '/webhooks', load: () => import('./webhook.js'), needs: 'webhook_read' },
  { path: '/webhooks/:oid/:request_id', title: 'Delivery', in: '/webhooks', load: () => import('./delivery.js'), needs: 'webhook_read' },
];
