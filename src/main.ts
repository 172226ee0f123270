#!/usr/bin/env node
/**
 * The process: arguments, signals, exit codes. Finds the command, gives it an `Io`, and ends with its exit code. A
 * fault that nobody caught ends the process with a message and code 1; a restart is safer than an unknown state.
 */
import { readFileSync } from 'node:fs';
import { ConfigError, WeirError } from './contract/errors.ts';
import { COMMANDS } from './cli/commands.ts';
import { didYouMean, UsageError, type CliCommand, type Io } from './cli/command.ts';

async function main(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    io.stdout(await listCommands());
    return 0;
  }
  if (name === '--version' || name === '-v') {
    io.stdout(`${programVersion()}\n`);
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    io.stderr(`weir: unknown command ${JSON.stringify(name)}${didYouMean(name, Object.keys(COMMANDS))}\nrun weir --help for the list\n`);
    return 2;
  }
  return runCommand(await COMMANDS[name](), rest, io);
}

async function runCommand(command: CliCommand, args: readonly string[], io: Io): Promise<number> {
  const beforeOperands = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  if (beforeOperands.includes('--help') || beforeOperands.includes('-h')) {
    io.stdout(command.help.endsWith('\n') ? command.help : `${command.help}\n`);
    return 0;
  }
  try {
    return await command.run(args, io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.stderr(`weir ${command.name}: ${error.message}\nrun weir ${command.name} --help\n`);
      return 2;
    }
    if (error instanceof ConfigError) {
      io.stderr(`${error.message}\nrun weir check for the places\n`);
      return 1;
    }
    throw error;
  }
}

async function listCommands(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const width = Math.max(...commands.map((c) => c.name.length));
  const lines = commands.map((c) => `  ${c.name.padEnd(width)}  ${c.summary}`);
  return `weir ${programVersion()}: a transparent safety proxy for LLM traffic\n\nusage: weir <command> [options]\n\n${lines.join('\n')}\n\nweir <command> --help tells more; weir --version prints the version.\n`;
}

function programVersion(): string {
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;
}

function processIo(): Io {
  const isTerminal = process.stdout.isTTY === true;
  let stop: AbortController | undefined;
  return {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    stdin: process.stdin,
    env: process.env,
    isTerminal,
    columns: process.stdout.columns ?? 80,
    color: isTerminal && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
    stopSignal() {
      stop ??= trapSignals();
      return stop.signal;
    },
  };
}

/** The first signal asks for an orderly end; the second is an order. */
function trapSignals(): AbortController {
  const stop = new AbortController();
  const onSignal = (signal: 'SIGINT' | 'SIGTERM'): void => {
    if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    stop.abort(signal);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return stop;
}

/**
 * Names the fault and its place. The message is shown only where its text is the program's or the system's own: a
 * parser's message quotes what it read, and that may be a prompt.
 */
function crash(error: unknown): never {
  const fault = error instanceof Error ? error : new TypeError(`thrown ${typeof error}`);
  const ownWords = fault instanceof WeirError || fault instanceof TypeError || fault instanceof RangeError || fault instanceof ReferenceError || 'syscall' in fault || fault.stack?.includes('node:internal/modules/') === true;
  const place = (fault.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at ')).slice(0, 8).join('\n');
  process.stderr.write(`weir: a fault in weir itself, the process ends: ${fault.name}${ownWords ? `: ${fault.message.slice(0, 300)}` : ''}\n${place}\n`);
  process.exit(1);
}

process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);
// A reader that went away (`weir screen | head -1`) is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' ? process.exit(0) : crash(error)));
process.exitCode = await main(process.argv.slice(2), processIo());
