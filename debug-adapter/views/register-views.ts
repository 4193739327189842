import type { Processor, RegisterValue } from "../../emulator/machine/virtual-machine.ts";
import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { Evaluator } from "../program/evaluator.ts";
import type { RegisterInfo, RegistersBody } from "../protocol.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";
import type { RegisterHistory } from "../variables/register-history.ts";
import { registerGroups } from "../variables/register-scopes.ts";

export function registerViewRequests(
	debuggee: Debuggee,
	frames: FrameStore,
	history: RegisterHistory,
	evaluator: Evaluator,
): RequestHandlers {
	const describe = (processor: Processor, register: RegisterValue): RegisterInfo => ({
		name: register.name,
		width: register.width,
		value: hex(register.value),
		meaning: register.meaning,
		writable: register.writable,
		changed: history.hasChanged(processor, register.name, register.value),
	});
	return {
		"hyperscope/registers": (args): RegistersBody => {
			const threadId = args.integer("threadId");
			void debuggee.stopped;
			const processor = debuggee.processor(threadId);
			const registers = processor.registers();
			return {
				groups: registerGroups
					.map(({ id, title }) => ({
						id,
						title,
						registers: registers
							.filter((register) => register.group === id)
							.map((register) => describe(processor, register)),
					}))
					.filter((group) => group.registers.length > 0),
			};
		},

		"hyperscope/setRegister": (args, context): RegisterInfo => {
			const threadId = args.integer("threadId");
			const name = args.string("name");
			const text = args.string("value");
			void debuggee.stopped;
			const processor = debuggee.processor(threadId);
			processor.setRegister(name, evaluator.number(text, frames.top(processor)));
			const register = processor.registers().find((one) => one.name === name);
			if (!register) throw new RequestError(`There is no register "${name}".`);
			context.afterResponse(() =>
				debuggee.emit("invalidated", { areas: frames.forgetChanged() ? ["all"] : ["variables"] }),
			);
			return describe(processor, register);
		},
	};
}
