/** What guides use of packages that are not installed here: of arctic 3 and @simplewebauthn/server 14. */

declare module 'arctic' {
  export interface OAuth2Tokens {
    accessToken(): string
    accessTokenExpiresAt(): Date
    hasRefreshToken(): boolean
    refreshToken(): string
    idToken(): string
  }
  export class Google {
    constructor(clientId: string, clientSecret: string, redirectURI: string)
    createAuthorizationURL(state: string, codeVerifier: string, scopes: string[]): URL
    validateAuthorizationCode(code: string, codeVerifier: string): Promise<OAuth2Tokens>
  }
  export class OAuth2RequestError extends Error {
    constructor(code: string, description: string | null, uri: string | null, state: string | null)
  }
  export function generateState(): string
  export function generateCodeVerifier(): string
  export function decodeIdToken(idToken: string): object
}

declare module '@simplewebauthn/server' {
  export interface WebAuthnCredential {
    id: string
    publicKey: Uint8Array<ArrayBuffer>
    counter: number
  }
  interface Expected {
    response: unknown
    expectedChallenge: string
    expectedOrigin: string
    expectedRPID: string
  }
  export function generateAuthenticationOptions(options: {
    rpID: string
    userVerification?: 'required' | 'preferred' | 'discouraged'
  }): Promise<{ challenge: string }>
  export function generateRegistrationOptions(options: {
    rpName: string
    rpID: string
    userName: string
    excludeCredentials?: { id: string }[]
    authenticatorSelection?: { residentKey?: 'required'; userVerification?: 'required' }
  }): Promise<{ challenge: string }>
  export function verifyAuthenticationResponse(
    options: Expected & { credential: WebAuthnCredential },
  ): Promise<{ verified: boolean; authenticationInfo: { newCounter: number } }>
  export function verifyRegistrationResponse(
    options: Expected,
  ): Promise<
    | { verified: false; registrationInfo?: never }
    | { verified: true; registrationInfo: { credential: WebAuthnCredential } }
  >
}
