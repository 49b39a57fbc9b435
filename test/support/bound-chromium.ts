/** Debian's Chromium with device-bound sessions and software keys, and an https server on loopback that it trusts. */
import { execFileSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { launch } from './chromium.ts'
import { installPackages, isInstalled } from './debian.ts'

type App = (request: Request) => Response | Promise<Response>

/** An https server on `localhost`. */
export interface SecureServer {
  readonly origin: string
  /** SHA-256 of its public key, base64, for `--ignore-certificate-errors-spki-list`. */
  readonly spki: string
  close(): Promise<void>
}

/** Serves an application over https, under a certificate made for it. */
export async function serveSecurely(app: App): Promise<SecureServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sojourn-tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const files = ['-keyout', key, '-out', cert]
  execFileSync('openssl', ['req', '-x509', ...curve, '-days', '2', ...names, ...files], {
    stdio: 'ignore',
  })
  const files2 = { key: readFileSync(key), cert: readFileSync(cert) }
  rmSync(folder, { recursive: true })
  const server = createServer(files2, async (message, response) => {
    const headers = new Headers()
    for (const [name, value] of Object.entries(message.headers)) {
      for (const one of [value ?? []].flat()) headers.append(name, one)
    }
    const url = `https://${message.headers.host}${message.url}`
    try {
      const answer = await app(new Request(url, { method: message.method ?? 'GET', headers }))
      const { 'set-cookie': _, ...rest } = Object.fromEntries(answer.headers)
      response.writeHead(answer.status, { ...rest, 'set-cookie': answer.headers.getSetCookie() })
      response.end(new Uint8Array(await answer.arrayBuffer()))
    } catch (error) {
      response.writeHead(500).end(String(error))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const der = new X509Certificate(files2.cert).publicKey.export({ type: 'spki', format: 'der' })
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    spki: createHash('sha256').update(der).digest('base64'),
    close: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/**
 * Launches Chromium, which is installed first where it is missing.
 *
 * @param bindsSessions It has device-bound sessions, with keys in software.
 * @throws Error naming the package where it cannot be installed.
 */
export async function launchBoundChromium(spki: string, bindsSessions: boolean): Promise<Browser> {
  if (!(await isInstalled('chromium'))) await installPackages('chromium')
  const path = execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim()
  // Of several such switches the last one counts.
  const features = bindsSessions
    ? '--enable-features=DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting'
    : '--disable-features=DeviceBoundSessions'
  const trust = `--ignore-certificate-errors-spki-list=${spki}`
  return launch({ executablePath: path, args: ['--no-sandbox', trust, features] })
}
