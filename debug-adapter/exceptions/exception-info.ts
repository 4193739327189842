import type { DebugProtocol } from "@vscode/debugprotocol";
import { exitReasonName } from "../../emulator/cpu/vmx/exit-reasons.ts";
import type { Stop } from "../../emulator/machine/virtual-machine.ts";
import { formatSourceId, hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import { eventNumbers } from "./event-filters.ts";
import { decodeErrorCode, exceptionVector, vectorTitle } from "./vectors.ts";

/** The names that the condition of an exception filter sees. */
export function eventNames(stop: Stop): ReadonlyMap<string, bigint> {
	if (stop.reason !== "event") return new Map();
	const names = new Map(
		stop.exitReason !== undefined || stop.hypercall !== undefined ? eventNumbers() : ([] as [string, bigint][]),
	);
	if (stop.vector !== undefined) names.set("vector", BigInt(stop.vector));
	if (stop.errorCode !== undefined) names.set("error", BigInt(stop.errorCode));
	if (stop.faultAddress !== undefined) names.set("address", stop.faultAddress);
	if (stop.exitReason !== undefined) names.set("reason", BigInt(stop.exitReason));
	if (stop.qualification !== undefined) names.set("qualification", stop.qualification);
	if (stop.guestPhysical !== undefined) names.set("gpa", stop.guestPhysical);
	if (stop.source !== undefined) names.set("source", BigInt(stop.source));
	const called = stop.hypercall === undefined ? undefined : names.get(stop.hypercall);
	if (called !== undefined) names.set("hypercall", called);
	for (const [index, value] of (stop.arguments ?? []).entries()) names.set(`arg${index}`, value);
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
	if (stop.qualification !== undefined) lines.push(`Exit qualification ${hex(stop.qualification)}`);
	if (stop.guestPhysical !== undefined) lines.push(`Guest-physical address ${hex(stop.guestPhysical)}`);
	if (stop.source !== undefined) lines.push(`Device ${formatSourceId(stop.source)}`);
	for (const [index, value] of (stop.arguments ?? []).entries()) lines.push(`Argument ${index}: ${hex(value)}`);
	return {
		exceptionId: nameOf(stop),
		description: stop.description,
		breakMode: "always",
		details: {
			typeName: vector === undefined || stop.exitReason !== undefined ? nameOf(stop) : vectorTitle(vector),
			message: lines.join("\n") || stop.description,
		},
	};
}

/** "#PF", "VM exit CPUID", "hypercall mmu_update", "callout" */
function nameOf({ vector, event, exitReason, hypercall }: Extract<Stop, { reason: "event" }>): string {
	if (exitReason !== undefined) return `VM exit ${exitReasonName(exitReason)}`;
	if (hypercall !== undefined) return `hypercall ${hypercall}`;
	if (vector === undefined) return event;
	return exceptionVector(vector)?.mnemonic ?? `vector ${vector}`;
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
