import chromium from '@sparticuz/chromium'
import { type Browser, type LaunchOptions, chromium as playwright } from 'playwright-core'

/** Milliseconds for whatever is waited for: a slow machine is no fault. */
const PATIENCE_MS = 120_000

/** Launches a Chromium that waits as long as a test may take, not half a minute. */
export async function launch(options: LaunchOptions): Promise<Browser> {
  const browser = await playwright.launch({ ...options, timeout: PATIENCE_MS })
  const newContext = browser.newContext.bind(browser)
  browser.newContext = async (...given) => {
    const context = await newContext(...given)
    context.setDefaultTimeout(PATIENCE_MS)
    return context
  }
  return browser
}

/** Starts Chromium without a window. */
export async function launchChromium(): Promise<Browser> {
  return launch({
    executablePath: await chromium.executablePath(),
    // Without the package's own `--single-process`, which ends when a context is closed.
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
    headless: true,
  })
}
