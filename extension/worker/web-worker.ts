// The worker of a browser host.
import { createSession } from "../../debug-adapter/create-session.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { serveAdapter } from "./serve.ts";

/** Runs a callback as a task of its own, after the messages that have arrived; timers would wait 4 ms. */
function taskQueue(): (callback: () => void) => void {
	const { port1, port2 } = new MessageChannel();
	const callbacks: (() => void)[] = [];
	port1.onmessage = () => callbacks.shift()?.();
	return (callback) => {
		callbacks.push(callback);
		port2.postMessage(undefined);
	};
}

serveAdapter(
	{
		post: (message) => self.postMessage(message),
		onMessage: (listener) => self.addEventListener("message", (event) => listener(event.data)),
	},
	{ now: () => performance.now(), defer: taskQueue() },
	(host) => createSession({ host, createMachine }),
);
