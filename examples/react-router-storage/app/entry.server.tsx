export { default } from '../../react-router/app/entry.server.tsx'
