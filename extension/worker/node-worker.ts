// The worker of a Node host.
import { parentPort } from "node:worker_threads";
import { createSession } from "../../debug-adapter/create-session.ts";
import { nodeHostServices } from "../../debug-adapter/host-services.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { serveAdapter } from "./serve.ts";

const port = parentPort;
if (!port) throw new Error("emulator-worker runs only as a worker of the extension.");
serveAdapter(
	{ post: (message) => port.postMessage(message), onMessage: (listener) => port.on("message", listener) },
	nodeHostServices,
	(host) => createSession({ host, createMachine }),
);
