// `hyperscope dap`: the DAP server on standard input and output, or on a port of the loopback address.

import { nodeHostServices, standardStream } from "../../debug-adapter/host-services.ts";
import { serveLoopback, serveStream } from "../../debug-adapter/server.ts";
import { MachineError } from "../../emulator/machine/virtual-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { bundledDomain0 } from "./bundled-domain0.ts";

/** The port to listen on (0 = a free one), or undefined for standard input and output. @throws {MachineError} */
export function parseDapArguments(words: readonly string[]): number | undefined {
	if (words.length === 0) return undefined;
	const [option, value, ...rest] = words;
	if (option !== "--port" || rest.length > 0)
		throw new MachineError(`hyperscope dap takes only --port N, not "${words.join(" ")}".`);
	const port = Number(value);
	if (value === undefined || !Number.isInteger(port) || port < 0 || port > 65535) {
		throw new MachineError(`--port "${value ?? ""}" is not a port: give a number from 0 to 65535.`);
	}
	return port;
}

/** Serves until the stream ends; on a port, until the process is ended. Says on standard error which port it listens on. */
export async function serveDap(port: number | undefined): Promise<number> {
	const services = { host: { ...nodeHostServices, domain0: bundledDomain0() }, createMachine };
	if (port === undefined) {
		await serveStream(standardStream(), services);
		// The client may keep its end of the pipe open; the session is over all the same.
		process.stdin.destroy();
		return 0;
	}
	let server: Awaited<ReturnType<typeof serveLoopback>>;
	try {
		server = await serveLoopback(port, services);
	} catch (error) {
		throw new MachineError(
			`Port ${port} cannot be listened on (${(error as NodeJS.ErrnoException).code}): choose another.`,
		);
	}
	console.error(`hyperscope: listening on 127.0.0.1:${server.port}`);
	return new Promise<number>((done) => {
		for (const signal of ["SIGINT", "SIGTERM"] as const) {
			process.once(signal, () => {
				server.close();
				done(0);
			});
		}
	});
}
