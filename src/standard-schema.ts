/** The interface of Standard Schema, which schema libraries share. */
import type { SessionIssue } from './errors.ts'

/** The members that a schema must have, of any library that follows {@link https://standardschema.dev Standard Schema}. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** The verdict of a schema on a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SessionIssue[] }
