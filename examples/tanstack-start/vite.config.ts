import { tanstackStart } from '@tanstack/react-start/plugin/vite'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [tanstackStart()],
  preview: { host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) },
})
