// Begins Swagger UI. What changes something is sent with the word that goes with the cookie of this sign-in.
"use strict";

function csrfToken() {
  const found = /(?:^|;\s*)(?:__Host-)?omoi_csrf(?:_\d+)?=([^;]*)/;
  const own = location.port ? new RegExp(`(?:^|;\\s*)omoi_csrf_${location.port}=([^;]*)`) : found;
  const match = own.exec(document.cookie) ?? found.exec(document.cookie);
  return match ? match[1] : null;
}

window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl],
    layout: "StandaloneLayout",
    validatorUrl: "none",
    requestInterceptor: (request) => {
      const token = csrfToken();
      if (token) {
        request.headers["X-CSRF-Token"] = token;
      }
      return request;
    },
  });
};
