import { hex } from "../addresses.ts";
import { fromBase64 } from "../base64.ts";
import { type Debuggee, threadIdOf } from "../debuggee.ts";
import { type Annotation, annotateRow } from "../disassembly/annotate.ts";
import { CodeReader } from "../disassembly/code-reader.ts";
import { formatBytes } from "../disassembly/decoder.ts";
import { disassembleRows } from "../disassembly/rows.ts";
import type { StepRequests } from "../execution/step-requests.ts";
import type { Evaluator } from "../program/evaluator.ts";
import type { Program } from "../program/program.ts";
import type { DevicesBody, DisassembleTextBody, MachineInfo, MemoryHash, Statistics } from "../protocol.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";
import { DeviceHistory } from "./device-history.ts";

const MOST_LINES = 4096;
const formats = { natural: undefined, hexadecimal: "x", decimal: "d", binary: "b" } as const;

export function machineViewRequests(
	debuggee: Debuggee,
	frames: FrameStore,
	evaluator: Evaluator,
	program: Program,
	steps: StepRequests,
): RequestHandlers {
	const devices = new DeviceHistory();
	return {
		"hyperscope/machine": (): MachineInfo => {
			const { machine } = debuggee;
			return {
				technique: machine.technique,
				state: debuggee.state,
				instructionCount: machine.instructionCount(),
				threads: machine.processors().map((processor) => ({
					threadId: threadIdOf(processor),
					kind: processor.kind,
					name: processor.describe(),
					codeSize: processor.codeSize(),
				})),
				hasTranslationCache: machine.translationCache !== undefined,
				shows: {
					events: machine.events !== undefined,
					vmx: machine.vmx !== undefined,
					domains: machine.domains !== undefined,
					iommu: (machine.iommus?.length ?? 0) > 0,
				},
			};
		},

		"hyperscope/statistics": (): Statistics => debuggee.machine.statistics(),

		"hyperscope/memoryHash": (): MemoryHash => ({ sha256: debuggee.stopped.memoryHash() }),

		"hyperscope/devices": (): DevicesBody => {
			const { machine, stopCount } = debuggee;
			const views = machine.devices();
			const changed = devices.compare(machine, stopCount, views);
			return {
				devices: views.map(({ name, registers }, device) => ({
					name,
					registers: registers.map((register, index) => ({
						name: register.name,
						width: register.width,
						value: hex(register.value),
						...(register.meaning === undefined ? {} : { meaning: register.meaning }),
						changed: changed(device, index),
					})),
				})),
			};
		},

		"hyperscope/serialInput": (args) => {
			const text = args.optionalString("text");
			const data = args.optionalString("data");
			if ((text === undefined) === (data === undefined))
				throw new RequestError('hyperscope/serialInput: give either "text" or "data".');
			const bytes = text !== undefined ? new TextEncoder().encode(text) : fromBase64(data!);
			const { machine } = debuggee;
			if (debuggee.state === "ended") throw new RequestError("The machine has been switched off: restart the session.");
			machine.serialInput(bytes);
		},

		"hyperscope/disassembleText": (args): DisassembleTextBody => {
			const threadId = args.integer("threadId");
			const text = args.string("address");
			const count = args.optionalInteger("count", 1, MOST_LINES) ?? 64;
			void debuggee.stopped;
			const processor = debuggee.processor(threadId);
			const { space, value } = evaluator.address(text, frames.top(processor));
			const code = CodeReader.of(
				space === "lin" && debuggee.isTranslatedCode(value) ? debuggee.processorFor(value) : processor,
				space,
			);
			return {
				lines: disassembleRows(code, value, 0, count, () => undefined).map((row) => {
					const annotation: Annotation = space === "lin" ? annotateRow(row, code, program) : { text: row.text };
					return {
						address: hex(row.address),
						bytes: formatBytes(row.bytes),
						text: annotation.text,
						...(annotation.symbol === undefined ? {} : { symbol: annotation.symbol }),
						...(annotation.location ? { source: annotation.location } : {}),
					};
				}),
			};
		},

		"hyperscope/setNumberFormat": (args, context) => {
			const format = args.word("format", ["natural", "hexadecimal", "decimal", "binary"]);
			evaluator.format = formats[format];
			context.afterResponse(() => debuggee.emit("invalidated", { areas: ["variables"] }));
		},

		"hyperscope/invalidate": (_args, context) => {
			void debuggee.stopped;
			context.afterResponse(() => debuggee.emit("invalidated", { areas: ["all"] }));
		},

		"hyperscope/setStepInterrupts": (args) => {
			steps.takeInterrupts = args.boolean("take");
		},
	};
}
