import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Stop } from "../../emulator/machine/virtual-machine.ts";
import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import { decodeErrorCode, exceptionVector, vectorTitle } from "./vectors.ts";

/** The names that the condition of an exception filter sees. */
export function eventNames(stop: Stop): ReadonlyMap<string, bigint> {
	const names = new Map<string, bigint>();
	if (stop.reason !== "event") return names;
	if (stop.vector !== undefined) names.set("vector", BigInt(stop.vector));
	if (stop.errorCode !== undefined) names.set("error", BigInt(stop.errorCode));
	if (stop.faultAddress !== undefined) names.set("address", stop.faultAddress);
	return names;
}

/** The stop in full, for the editor's exception widget. */
export function describeException(stop: Stop): DebugProtocol.ExceptionInfoResponse["body"] | undefined {
	if (stop.reason === "triple-fault")
		return {
			exceptionId: "triple-fault",
			description: stop.description,
			breakMode: "always",
			details: { typeName: "Triple fault", message: "The machine cannot go on. Restart the session to run it again." },
		};
	if (stop.reason !== "event") return undefined;
	const { vector, errorCode, faultAddress } = stop;
	const lines: string[] = [];
	if (errorCode !== undefined) {
		const meaning = vector === undefined ? undefined : decodeErrorCode(vector, errorCode);
		lines.push(`Error code ${hex(errorCode)}${meaning ? `: ${meaning}` : ""}`);
	}
	if (faultAddress !== undefined) lines.push(`Faulting address ${hex(faultAddress)}`);
	return {
		exceptionId: vector === undefined ? stop.event : (exceptionVector(vector)?.mnemonic ?? `vector ${vector}`),
		description: stop.description,
		breakMode: "always",
		details: {
			typeName: vector === undefined ? stop.event : vectorTitle(vector),
			message: lines.join("\n") || stop.description,
		},
	};
}

export function exceptionInfoRequests(debuggee: Debuggee, lastStop: () => Stop | undefined): RequestHandlers {
	return {
		exceptionInfo: (args) => {
			void debuggee.processor(args.integer("threadId"));
			void debuggee.stopped;
			const stop = lastStop();
			const info = stop && describeException(stop);
			if (!info) throw new RequestError("The machine did not stop at an exception or event.");
			return info;
		},
	};
}
