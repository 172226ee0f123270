/**
 * What a gRPC server says about itself to tools such as grpcurl: its services by name, and the descriptors of the file
 * that a symbol stands in. Pure: a request in, an answer out.
 */
import type { PackageDefinition } from '../../../plugins/grpc/wire.ts';

/** As config/proto/grpc/reflection has it; `message_request` names the field that is set. */
export interface ReflectionRequest {
  readonly host: string;
  readonly message_request?: 'file_by_filename' | 'file_containing_symbol' | 'file_containing_extension' | 'all_extension_numbers_of_type' | 'list_services';
  readonly file_by_filename?: string;
  readonly file_containing_symbol?: string;
}

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

export class Reflection {
  readonly #services: readonly string[];
  /** Serialized files by their names, and by every symbol in them. */
  readonly #files = new Map<string, Buffer>();
  readonly #symbols = new Map<string, Buffer>();

  /** `services` are the full names of those that the server offers; all of them stand in `packages`. */
  constructor(packages: readonly PackageDefinition[], services: readonly string[]) {
    this.#services = services;
    for (const definitions of packages) this.#add(definitions);
  }

  answer(request: ReflectionRequest): object {
    return { valid_host: request.host, original_request: request, ...this.#found(request) };
  }

  #found({ message_request: wanted, file_by_filename: file = '', file_containing_symbol: symbol = '' }: ReflectionRequest): object {
    switch (wanted) {
      case 'list_services': return { list_services_response: { service: this.#services.map((name) => ({ name })) } };
      case 'file_by_filename': return described(this.#files.get(file), 'no such file here');
      case 'file_containing_symbol': return described(this.#symbols.get(symbol), 'no such symbol here');
      default: return { error_response: { error_code: UNIMPLEMENTED, error_message: 'there are no extensions here' } };
    }
  }

  /** A package comes from one file, so each of its messages carries the same one. */
  #add(definitions: PackageDefinition): void {
    const file = Object.values(definitions).map(({ fileDescriptorProtos: files }) => files as readonly Buffer[] | undefined).find((files) => files !== undefined)![0];
    this.#files.set(fileName(file), file);
    for (const [name, definition] of Object.entries(definitions)) {
      this.#symbols.set(name, file);
      if (!('format' in definition)) for (const method of Object.keys(definition)) this.#symbols.set(`${name}.${method}`, file);
    }
  }
}

function described(file: Buffer | undefined, missing: string): object {
  return file === undefined ? { error_response: { error_code: NOT_FOUND, error_message: missing } } : { file_descriptor_response: { file_descriptor_proto: [file] } };
}

/** Of a serialized FileDescriptorProto: its first field, shorter than 128 bytes. */
function fileName(file: Buffer): string {
  return file.toString('utf8', 2, 2 + file[1]);
}
