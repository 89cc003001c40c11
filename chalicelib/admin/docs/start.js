// Addresses are relative to the page, so that it works under any stage or domain.
window.ui = SwaggerUIBundle({
  url: "rest/v2/openapi.json",
  dom_id: "#docs",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  // Nobody outside is asked whether the document is valid; a test does that.
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  // A key that was typed in is forgotten with the page.
  persistAuthorization: false,
});
