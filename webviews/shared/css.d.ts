// The bundler collects the style sheets that a view imports into one file beside its script.
declare module "*.css";
