// Puts a session together. The result is a `vscode.DebugAdapter`: the extension uses it inline, server.ts over a stream.
import type { Stop } from "../emulator/machine/virtual-machine.ts";
import { ownedBy } from "./addresses.ts";
import { physicalRange } from "./breakpoints/breakpoint-modes.ts";
import { BreakpointRequests } from "./breakpoints/breakpoint-requests.ts";
import { BreakpointStore } from "./breakpoints/breakpoint-store.ts";
import { DataBreakpoints, type MemoryRange } from "./breakpoints/data-breakpoints.ts";
import { compareRequests } from "./compare/compare-requests.ts";
import { evaluateRequests } from "./console/evaluate-requests.ts";
import { Debuggee, domainProcessor } from "./debuggee.ts";
import { disassemblyRequests } from "./disassembly/disassembly-requests.ts";
import { ExceptionFilters } from "./exceptions/exception-filters.ts";
import { eventNames, exceptionInfoRequests } from "./exceptions/exception-info.ts";
import { gotoRequests } from "./execution/goto-requests.ts";
import { RunControl } from "./execution/run-control.ts";
import { StepInTargets } from "./execution/step-in-targets.ts";
import { StepRequests } from "./execution/step-requests.ts";
import type { HostServices } from "./host-services.ts";
import { type CreateMachine, LaunchRequests } from "./launch/launch-requests.ts";
import { SerialLine } from "./launch/serial-line.ts";
import { MemoryAccess } from "./memory/memory-access.ts";
import { memoryRequests } from "./memory/memory-requests.ts";
import { Evaluator, translateErrors } from "./program/evaluator.ts";
import { Program } from "./program/program.ts";
import { sourceRequests } from "./program/source-requests.ts";
import { SymbolSlides } from "./program/symbol-slide.ts";
import { MessageSession } from "./session.ts";
import { FrameStore } from "./stack/frame-store.ts";
import { stackRequests } from "./stack/stack-requests.ts";
import { threadRequests } from "./threads.ts";
import { LocationStore } from "./variables/location-store.ts";
import { RegisterHistory } from "./variables/register-history.ts";
import { rangeOfValue } from "./variables/value-variables.ts";
import { variableRequests } from "./variables/variable-requests.ts";
import { VariableStore } from "./variables/variable-store.ts";
import { displayViewRequests } from "./views/display-views.ts";
import { eventViewRequests } from "./views/event-views.ts";
import { fragmentViewRequests } from "./views/fragment-views.ts";
import { hypervisorViewRequests } from "./views/hypervisor-views.ts";
import { iommuViewRequests } from "./views/iommu-views.ts";
import { machineViewRequests } from "./views/machine-views.ts";
import { memoryViewRequests } from "./views/memory-views.ts";
import { pageTableViewRequests } from "./views/page-table-views.ts";
import { registerViewRequests } from "./views/register-views.ts";

export type { CreateMachine } from "./launch/launch-requests.ts";

function ownedRange(range: MemoryRange, owner: number | undefined): MemoryRange {
	return { ...range, address: ownedBy(owner, range.address) };
}

/** What a session is given from outside. */
export interface SessionServices {
	readonly host: HostServices;
	readonly createMachine: CreateMachine;
}

/** A debug session that is driven by messages. */
export class HyperscopeSession extends MessageSession {
	private readonly goodbyes: (() => void)[] = [];
	private abandon: () => void = () => {};

	/** Calls back once the client has disconnected. */
	onDisconnected(listener: () => void): void {
		this.goodbyes.push(listener);
	}

	/** For createSession. */
	attachLife(abandon: () => void): void {
		this.abandon = abandon;
	}

	/** For createSession. */
	readonly disconnected = (): void => {
		for (const listener of this.goodbyes.splice(0)) listener();
	};

	/** Set once the session is not used any more: long work ends. */
	isDisposed = false;

	/** Stops the machine; the session is not used any more. */
	override dispose(): void {
		this.isDisposed = true;
		this.abandon();
		super.dispose();
	}
}

/** A session without a machine yet; `launch` makes one. */
export function createSession({ host, createMachine }: SessionServices): HyperscopeSession {
	const session = new HyperscopeSession();
	const debuggee = new Debuggee(host, session.emitEvent);
	const machine = () => (debuggee.hasMachine ? debuggee.machine : undefined);

	const program = new Program(debuggee);
	const slides = new SymbolSlides(debuggee, program);
	const memory = new MemoryAccess(debuggee);
	const frames = new FrameStore(debuggee, program);
	const locations = new LocationStore(program);
	const variables = new VariableStore(locations);
	const history = new RegisterHistory(debuggee);
	const evaluator = new Evaluator(program, memory, frames);
	const serial = new SerialLine(session.emitEvent);

	const store = new BreakpointStore(machine);
	const breakpointRequests = new BreakpointRequests(debuggee, store, program, evaluator, frames);
	const filters = new ExceptionFilters(debuggee, machine);
	const dataBreakpoints = new DataBreakpoints(machine, {
		rangeOfVariable: (reference, name) => {
			const container = variables.get(reference);
			void debuggee.stopped;
			return ownedRange(container.range!(name), debuggee.focusedDomain);
		},
		rangeOfExpression: (expression, frameId) => {
			void debuggee.stopped;
			const frame = frames.getOrTop(frameId);
			const { value } = evaluator.evaluate(expression, frame);
			return ownedRange(
				translateErrors(() => rangeOfValue(expression, value)),
				domainProcessor(frame.processor),
			);
		},
		physical: (range) => physicalRange(range, debuggee),
		address: (expression, frameId) => {
			void debuggee.stopped;
			return evaluator.address(expression, frames.getOrTop(frameId));
		},
	});

	const forget = () => {
		frames.forget();
		variables.forget();
	};
	const run = new RunControl(debuggee, {
		store,
		filters,
		dataBreakpoints,
		triggerScope: (stop: Stop) => {
			// The stack of an earlier stop must not answer for this one.
			frames.forget();
			const processor =
				"processor" in stop ? debuggee.machine.processors().find((one) => one.id === stop.processor) : undefined;
			return evaluator.triggerScope(processor ?? debuggee.focusedProcessor(), eventNames(stop));
		},
		describe: program.describe,
		forget,
		remember: () => {
			forget();
			for (const processor of debuggee.machine.processors()) program.stoppedAt(processor.linearInstructionPointer());
			if (slides.check()) breakpointRequests.placeAgain();
			history.remember();
		},
		announce: () => {
			breakpointRequests.placeProvisional();
			memory.views.announce();
		},
		physical: (processor, linear) => debuggee.processor(processor).translate(linear, "gpa"),
		flush: () => serial.flush(),
	});
	session.cancelProgress = (id) => run.cancelProgress(id);
	const stepInTargets = new StepInTargets(debuggee, program, frames);
	const steps = new StepRequests(debuggee, run, store, program, frames, dataBreakpoints, stepInTargets);
	const launch = new LaunchRequests({
		debuggee,
		createMachine,
		program,
		slides,
		store,
		breakpointRequests,
		dataBreakpoints,
		filters,
		run,
		serial,
		history,
		forget,
		disconnected: session.disconnected,
	});
	session.attachLife(() => launch.abandon());

	for (const handlers of [
		launch.requests,
		breakpointRequests.requests,
		dataBreakpoints.requests,
		filters.requests,
		exceptionInfoRequests(debuggee, () => run.lastStop),
		steps.requests,
		gotoRequests(debuggee, program, frames),
		threadRequests(debuggee),
		stackRequests(debuggee, program, frames),
		variableRequests(debuggee, frames, variables, evaluator),
		evaluateRequests({ debuggee, program, evaluator, memory }, frames, variables),
		disassemblyRequests(debuggee, memory, program),
		locations.requests,
		memoryRequests(debuggee, memory),
		memoryViewRequests(debuggee, frames, evaluator, program, memory),
		sourceRequests(debuggee, program),
		registerViewRequests(debuggee, frames, history, evaluator),
		pageTableViewRequests(debuggee, frames, evaluator, program),
		fragmentViewRequests(debuggee, frames, evaluator, program),
		eventViewRequests(debuggee, program),
		hypervisorViewRequests(debuggee),
		displayViewRequests(debuggee),
		iommuViewRequests(debuggee, frames, evaluator),
		compareRequests(host, createMachine, session),
		machineViewRequests(debuggee, frames, evaluator, program, steps),
	])
		session.register(handlers);
	return session;
}
