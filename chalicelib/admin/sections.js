// Sections of settings whose form is made from their schema, and whether the menu has them.
const SETTINGS = [
  ['auto_order_processing', 'Auto Order Processing', true], ['merchant', 'Shop', true], ['shipping_methods', 'Shipping methods'], ['taxes', 'Taxes'],
  ['rotating_transaction_gateways', 'Rotating gateways'], ['loyalty_program', 'Loyalty program'], ['pricing_tiers', 'Pricing tiers'], ['customer_profiles', 'Customer profiles'],
];
// Every screen of the page, once. What stands here is in the menu, in the palette and in the address bar; a screen's
// file is loaded when somebody goes there. `found`: in the palette, not in the menu. `needs` is the permission without
// which it is not shown.
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
  { path: '/items', title: 'Items', group: 'Catalogue', menu: true, load: () => import('./items.js'), needs: 'item_read' },
  { path: '/items/:merchant_item_id', title: 'Item', in: '/items', load: () => import('./item.js'), needs: 'item_read' },
  { path: '/coupons', title: 'Coupons', group: 'Catalogue', menu: true, load: () => import('./coupons.js'), needs: 'coupon_read' },
  { path: '/coupons/:oid', title: 'Coupon', in: '/coupons', load: () => import('./coupon.js'), needs: 'coupon_read' },
  { path: '/gift_certificates', title: 'Gift certificates', group: 'Catalogue', menu: true, load: () => import('./gift_certificates.js'), needs: 'gift_certificate_read' },
  { path: '/gift_certificates/:oid', title: 'Gift certificate', in: '/gift_certificates', load: () => import('./gift_certificate.js'), needs: 'gift_certificate_read' },
  { path: '/configuration', title: 'All settings', group: 'Configuration', menu: true, load: () => import('./configuration.js'), needs: 'configuration_read' },
  ...SETTINGS.map(([settings, title, menu]) => ({ path: `/configuration/${settings}`, title, settings, group: 'Configuration', menu, found: true, in: menu ? undefined : '/configuration', load: () => import('./settings.js'), needs: 'configuration_read' })),
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
