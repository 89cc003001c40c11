// What each section of settings is for: read where they are listed and edited, not with every page.
export const ABOUTS = {
  auto_order_processing: 'How auto orders are billed, retried, shipped and announced.',
  merchant: 'Its name, zone, sender and the pages that may call it.',
  shipping_methods: 'How orders go out, where to and at what cost.',
  taxes: 'Sales tax by country, state and postal code.',
  rotating_transaction_gateways: 'Which payment account takes a charge, and which one after a decline.',
  loyalty_program: 'What customers earn by their orders, and what it is redeemed for.',
  pricing_tiers: 'Terms by which dealers, friends and staff buy.',
  customer_profiles: 'Who has a profile, what it keeps, how dealers sign up.',
};
