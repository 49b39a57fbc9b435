import { index, type RouteConfig, route } from '@react-router/dev/routes'

export default [
  index('home.tsx'),
  route('account', 'account.tsx'),
  route('cart', 'cart.ts'),
  route('sign-in', 'sign-in.ts'),
  route('sign-out', 'sign-out.ts'),
] satisfies RouteConfig
