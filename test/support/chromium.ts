import chromium from '@sparticuz/chromium'
import { type Browser, chromium as playwright } from 'playwright-core'

/** Starts Chromium without a window. */
export async function launchChromium(): Promise<Browser> {
  return playwright.launch({
    executablePath: await chromium.executablePath(),
    // Without the package's own `--single-process`, which ends when a context is closed.
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    headless: true,
  })
}
