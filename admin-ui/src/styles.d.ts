// esbuild gathers the styles that modules import.
declare module "*.css";
