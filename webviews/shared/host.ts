// A webview's end of the line to the extension: requests with answers, actions, the session's state, saved choices.
import type { CustomRequests } from "../../debug-adapter/protocol.ts";
import type { ComparisonMessage, FromWebview, ToWebview, ViewAction, ViewCommand, ViewState } from "../messages.ts";

interface VsCodeApi {
	postMessage(message: FromWebview): void;
	getState(): unknown;
	setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

export class HostConnection {
	readonly #api = acquireVsCodeApi();
	readonly #waiting = new Map<number, { resolve(body: unknown): void; reject(error: Error): void }>();
	#lastRequest = 0;
	/** Called with what the extension tells of a comparison. */
	onComparison: (message: ComparisonMessage) => void = () => {};

	/** Listens, and tells the extension that it may send. */
	start(onState: (state: ViewState) => void, onShow: (address: string) => void): void {
		window.addEventListener("message", (event: MessageEvent<ToWebview>) => {
			const message = event.data;
			if (message.kind === "state") onState(message.state);
			else if (message.kind === "show") onShow(message.address);
			else if (message.kind === "comparison") this.onComparison(message);
			else this.#settle(message);
		});
		this.#api.postMessage({ kind: "ready" });
	}

	/** Rejects with the adapter's sentence. */
	request<Command extends ViewCommand>(
		command: Command,
		values: CustomRequests[Command]["arguments"],
	): Promise<CustomRequests[Command]["body"]> {
		const id = ++this.#lastRequest;
		return new Promise((resolve, reject) => {
			this.#waiting.set(id, { resolve: resolve as (body: unknown) => void, reject });
			this.#api.postMessage({ kind: "request", id, command, arguments: values });
		});
	}

	act(action: ViewAction): void {
		this.#api.postMessage({ kind: "action", ...action });
	}

	/** What the user chose in this tab, over reloads; `fallback` fills what is missing. */
	saved<Choices extends object>(fallback: Choices): Choices {
		return { ...fallback, ...(this.#api.getState() as Partial<Choices> | undefined) };
	}

	save(choices: object): void {
		this.#api.setState(choices);
	}

	#settle(message: ToWebview & { kind: "answer" | "refused" }): void {
		const waiting = this.#waiting.get(message.id);
		this.#waiting.delete(message.id);
		if (message.kind === "answer") waiting?.resolve(message.body);
		else waiting?.reject(new Error(message.sentence));
	}
}
