import { index, type RouteConfig, route } from '@react-router/dev/routes'

export default [
  index('routes/home.tsx'),
  route('cart', 'routes/cart.ts'),
  route('sign-in', 'routes/sign-in.ts'),
  route('account', 'routes/account.tsx'),
  route('sign-out', 'routes/sign-out.ts'),
] satisfies RouteConfig
