// The message loop of the adapter: takes requests in order, answers each exactly once, survives any message.
import { Event, Response } from "@vscode/debugadapter/lib/messages.js";
import { ProtocolServer } from "@vscode/debugadapter/lib/protocol.js";
import type { DebugProtocol } from "@vscode/debugprotocol";
import { RequestArguments } from "./request-arguments.ts";
import { RequestError, sentenceOf } from "./request-error.ts";

/** What a request may give its handler besides the arguments. */
export interface RequestContext {
	/** Runs after the response was sent: what reports about a request (`stopped`, `terminated`) comes after its answer. */
	afterResponse(action: () => void): void;
	/** Set once the client cancelled the request; handlers with long work look at it between pieces. */
	isCancelled(): boolean;
}

/** Does the work of one request and returns the body of its response. */
export type RequestHandler = (args: RequestArguments, context: RequestContext) => unknown | Promise<unknown>;
export type RequestHandlers = Readonly<Record<string, RequestHandler>>;

/** Requests that an editor sends by itself: a refusal is shown where the answer would have been, not as a notification. */
const quietRequests = new Set([
	"breakpointLocations",
	"completions",
	"dataBreakpointInfo",
	"disassemble",
	"evaluate",
	"exceptionInfo",
	"gotoTargets",
	"locations",
	"readMemory",
	"scopes",
	"source",
	"stackTrace",
	"stepInTargets",
	"threads",
	"variables",
]);

/** Sends an event to the client. */
export type Emit = (event: string, body?: object) => void;

/**
 * A protocol server over a table of handlers. It is a `vscode.DebugAdapter` (handleMessage, onDidSendMessage, dispose);
 * streams are put in front of it by server.ts.
 */
export class MessageSession extends ProtocolServer {
	private readonly handlers = new Map<string, RequestHandler>();
	private readonly cancelled = new Set<number>();
	/** Sequence numbers of requests that are waiting or at work. */
	private readonly open = new Set<number>();
	private queue: Promise<void> | undefined;

	/** @throws {Error} when two tables handle the same request. */
	register(handlers: RequestHandlers): void {
		for (const [command, handler] of Object.entries(handlers)) {
			if (this.handlers.has(command)) throw new Error(`Two handlers for ${command}.`);
			this.handlers.set(command, handler);
		}
	}

	/** Ends what the client was told of as in progress; set by createSession. */
	cancelProgress: (id: string) => void = () => {};

	/** The requests that are understood. */
	commands(): string[] {
		return [...this.handlers.keys()];
	}

	/** While a request is handled: what it reports, to be sent behind its response. */
	private deferred: DebugProtocol.Event[] | undefined;

	readonly emitEvent: Emit = (event, body) => {
		const message: DebugProtocol.Event = new Event(event, body);
		if (this.deferred) this.deferred.push(message);
		else this.sendEvent(message);
	};

	/** A message that cannot be answered (not an object, no command): said to the person, and the session goes on. */
	reportMalformed(sentence: string): void {
		this.emitEvent("output", { category: "stderr", output: `${sentence}\n` });
	}

	override handleMessage(message: DebugProtocol.ProtocolMessage): void {
		const raw: unknown = message;
		if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
			this.reportMalformed("Malformed message: a message of the protocol has to be a JSON object.");
			return;
		}
		const { type, seq, command } = raw as Record<string, unknown>;
		if (type === "response") super.handleMessage(message);
		else if (type !== "request") {
			const shown = JSON.stringify(type) ?? "missing";
			this.reportMalformed(`Malformed message: "type" has to be "request" or "response"; it is ${shown}.`);
		} else if (typeof seq !== "number" || !Number.isSafeInteger(seq))
			this.reportMalformed('Malformed request: "seq" has to be a whole number.');
		else if (typeof command !== "string") {
			const request = { type: "request", seq, command: "" } satisfies DebugProtocol.Request;
			this.refuse(new Response(request), 'Malformed request: "command" has to be a text.');
		} else this.dispatchRequest(message as DebugProtocol.Request);
	}

	protected override dispatchRequest(request: DebugProtocol.Request): void {
		if (request.command === "cancel") {
			const response = new Response(request);
			try {
				const args = RequestArguments.of("cancel", request.arguments);
				const id = args.optionalInteger("requestId");
				const progress = args.optionalString("progressId");
				if (id !== undefined && this.open.has(id)) this.cancelled.add(id);
				this.sendResponse(response);
				if (progress !== undefined) this.cancelProgress(progress);
			} catch (error) {
				this.refuse(response, sentenceOf(error));
			}
			return;
		}
		this.open.add(request.seq);
		if (this.queue) {
			this.queue = this.queue.then(() => this.answer(request));
			this.trackQueue(this.queue);
			return;
		}
		const pending = this.answer(request);
		if (pending) this.trackQueue((this.queue = pending));
	}

	private trackQueue(tail: Promise<void>): void {
		tail.then(() => {
			if (this.queue === tail) this.queue = undefined;
		});
	}

	/** Answers at once when the handler does; the promise otherwise. It never rejects. */
	private answer(request: DebugProtocol.Request): Promise<void> | undefined {
		const response = new Response(request);
		const later: (() => void)[] = [];
		const release = () => {
			const events = this.deferred ?? [];
			this.deferred = undefined;
			for (const event of events) this.sendEvent(event);
		};
		const succeed = (body: unknown) => {
			if (body !== undefined) (response as { body?: unknown }).body = body;
			this.sendResponse(response);
			release();
			for (const action of later) action();
		};
		const fail = (error: unknown) => {
			this.refuse(response, sentenceOf(error));
			release();
		};
		const finish = () => {
			this.open.delete(request.seq);
			this.cancelled.delete(request.seq);
		};
		this.deferred = [];
		try {
			if (this.cancelled.has(request.seq)) throw new RequestError("cancelled");
			const handler = this.handlers.get(request.command);
			if (!handler) throw new RequestError(`Hyperscope does not know the request "${request.command}".`);
			const result = handler(RequestArguments.of(request.command, request.arguments), {
				afterResponse: (action) => later.push(action),
				isCancelled: () => this.cancelled.has(request.seq),
			});
			if (result instanceof Promise) {
				// What goes on meanwhile is not this request's.
				release();
				return result.then(succeed).catch(fail).finally(finish);
			}
			succeed(result);
		} catch (error) {
			fail(error);
		}
		finish();
		return undefined;
	}

	private refuse(response: DebugProtocol.Response, sentence: string): void {
		response.success = false;
		response.message = sentence;
		const showUser = !quietRequests.has(response.command) && !response.command.startsWith("hyperscope/");
		response.body = { error: { id: 1, format: "{_sentence}", variables: { _sentence: sentence }, showUser } };
		this.sendResponse(response);
	}
}
