export { projectScript } from '#adapters/registry.ts'
