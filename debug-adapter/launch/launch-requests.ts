import { RecordedMachine } from "../../emulator/machine/recorded-machine.ts";
import type { MachineConfiguration, NamedFile, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import type { BreakpointRequests } from "../breakpoints/breakpoint-requests.ts";
import type { BreakpointStore } from "../breakpoints/breakpoint-store.ts";
import type { DataBreakpoints } from "../breakpoints/data-breakpoints.ts";
import type { Debuggee } from "../debuggee.ts";
import type { ExceptionFilters } from "../exceptions/exception-filters.ts";
import { FreeMotion } from "../execution/motion.ts";
import type { RunControl } from "../execution/run-control.ts";
import type { Program } from "../program/program.ts";
import type { SymbolSlides } from "../program/symbol-slide.ts";
import { RequestError, sentenceOf } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { SymbolFile } from "../symbols/index.ts";
import { SymbolError } from "../symbols/index.ts";
import type { RegisterHistory } from "../variables/register-history.ts";
import { capabilities } from "./capabilities.ts";
import {
	type LaunchConfiguration,
	readLaunchConfiguration,
	readNamedFile,
	type SymbolFileRequest,
	symbolFileRequest,
} from "./launch-configuration.ts";
import type { SerialLine } from "./serial-line.ts";

/** Makes a machine. It throws a MachineError with one sentence when it cannot. */
export type CreateMachine = (configuration: MachineConfiguration) => VirtualMachine | Promise<VirtualMachine>;

export interface LaunchServices {
	readonly debuggee: Debuggee;
	readonly createMachine: CreateMachine;
	readonly program: Program;
	readonly slides: SymbolSlides;
	readonly store: BreakpointStore;
	readonly breakpointRequests: BreakpointRequests;
	readonly dataBreakpoints: DataBreakpoints;
	readonly filters: ExceptionFilters;
	readonly run: RunControl;
	readonly serial: SerialLine;
	readonly history: RegisterHistory;
	/** Frames and variables are out of date. */
	forget(): void;
	/** Called once the client has gone. */
	disconnected(): void;
}

/** Number of the guest's domain, which the program runs in. */
const GUEST_DOMAIN = 1;

/** The vCPU of the domain that a symbol file is of; undefined where there are no domains. @throws {RequestError} */
function ownerOf(domain: number | undefined, machine: VirtualMachine): number | undefined {
	const vcpus = machine.processors().filter(({ domainId }) => domainId !== undefined);
	const found = vcpus.find(({ domainId }) => domainId === (domain ?? GUEST_DOMAIN));
	if (found || domain === undefined) return found?.id;
	const known = vcpus.map(({ domainId }) => domainId).join(", ");
	throw new RequestError(
		`symbolFiles: there is no domain ${domain}: ${known === "" ? 'only "vmm": "pv" has domains' : `the domains are ${known}`}.`,
	);
}

/** The life of a session: initialize, launch, configurationDone, restart, terminate, disconnect. */
export class LaunchRequests {
	private configuration: LaunchConfiguration | undefined;
	private isConfigured = false;
	private isInitialized = false;

	constructor(private readonly services: LaunchServices) {}

	/** Reads every file, makes the machine and opens the symbols; nothing of the session is changed before all of that succeeded. */
	private async load(configuration: LaunchConfiguration): Promise<void> {
		const { debuggee, program, serial, store, dataBreakpoints, filters, history } = this.services;
		const read = (what: string, path: string | undefined) =>
			path === undefined ? undefined : readNamedFile(what, path, debuggee.host);
		const image = await read("Image", configuration.program);
		const initrd = await read("Initial RAM disk", configuration.initrd);
		const firmware = await read("Firmware", configuration.firmware);
		const disks: NamedFile[] = [];
		for (const path of configuration.disks) disks.push(await readNamedFile("Disk", path, debuggee.host));
		const split = configuration.machine.io === "split";
		const domain0 = split ? await read("Domain 0", configuration.domain0 ?? debuggee.host.domain0) : undefined;
		const cdrom = await read("CD-ROM", configuration.cdrom);
		const symbolBytes: NamedFile[] = [];
		for (const file of configuration.symbolFiles)
			symbolBytes.push(await readNamedFile("Symbol file", file.path, debuggee.host));
		const bare = await this.services.createMachine({
			...configuration.machine,
			...(image ? { image } : {}),
			...(initrd ? { initrd } : {}),
			...(firmware ? { firmware } : {}),
			...(disks.length > 0 ? { disks } : {}),
			...(domain0 ? { domain0 } : {}),
			...(cdrom ? { cdrom } : {}),
		});
		const machine = new RecordedMachine(bare);
		const symbols = configuration.symbolFiles.map((file, index) => ({ file, bytes: symbolBytes[index]!.bytes }));
		this.openSymbols(configuration, image, symbols, machine);
		this.services.slides.reopened();
		program.paths.configure(configuration.program, configuration.sourceMap);
		await program.paths.locate(
			program.ask((table) => table.sourcePaths(), []),
			debuggee.host,
		);
		this.services.run.abandon();
		this.services.forget();
		history.clear();
		serial.clear();
		serial.destination = configuration.serial;
		machine.onSerialOutput(serial.addSerial);
		machine.onDebugConsole(serial.addConsole);
		debuggee.machine = machine;
		debuggee.state = "stopped";
		debuggee.focusedThread = 1;
		this.configuration = configuration;
		store.isDisabled = configuration.noDebug;
		store.resetHits();
		dataBreakpoints.resetHits();
		this.services.breakpointRequests.placeAgain();
		if (!configuration.noDebug) {
			dataBreakpoints.install();
			filters.install();
		}
	}

	/** Symbols of the image as far as it has any, then those of the named files. */
	private openSymbols(
		configuration: LaunchConfiguration,
		image: NamedFile | undefined,
		files: readonly { readonly file: SymbolFileRequest; readonly bytes: Uint8Array }[],
		machine: VirtualMachine,
	): void {
		const { program, debuggee } = this.services;
		for (const { file, bytes } of files) {
			this.openSymbolFile(file, bytes, machine, (symbols, options) => program.probe(symbols, options));
		}
		program.clear();
		if (image && configuration.program !== undefined) {
			try {
				program.add(image.bytes, { name: configuration.program }, ownerOf(undefined, machine));
			} catch (error) {
				// A bzImage has no symbols of its own; a damaged file is started all the same, and said to be damaged.
				if (!(error instanceof SymbolError)) throw error;
				if (error.kind !== "not-elf")
					debuggee.emit("output", {
						category: "stderr",
						output: `No symbols of the image: ${error.message}\n`,
					});
			}
		}
		for (const { file, bytes } of files) this.openSymbolFile(file, bytes, machine);
	}

	/** @throws {RequestError} */
	private openSymbolFile(
		file: SymbolFileRequest,
		bytes: Uint8Array,
		machine: VirtualMachine,
		open: Program["add"] = (...how) => this.services.program.add(...how),
	): SymbolFile {
		try {
			const sections = file.sections.size > 0 ? { sectionBases: file.sections } : {};
			return open(bytes, { name: file.path, bias: file.offset, ...sections }, ownerOf(file.domain, machine));
		} catch (error) {
			throw new RequestError(sentenceOf(error));
		}
	}

	/** Lets the machine go, or stops before the first instruction. */
	private begin(): void {
		const { run, debuggee } = this.services;
		if (this.configuration?.stopOnEntry && !this.configuration.noDebug) run.reportEntry();
		else run.start(new FreeMotion(debuggee.machine, debuggee.machine.processors()[0]!.id));
	}

	private switchOff(): void {
		const { run, debuggee, serial } = this.services;
		if (!debuggee.hasMachine) return;
		run.abandon();
		serial.flush();
		debuggee.state = "ended";
	}

	readonly requests: RequestHandlers = {
		initialize: (args) => {
			if (this.isInitialized) throw new RequestError("initialize: the session is initialized already.");
			if ((args.optionalWord("pathFormat", ["path", "uri"]) ?? "path") !== "path")
				throw new RequestError('initialize: only "pathFormat": "path" is supported.');
			if (args.optionalBoolean("linesStartAt1") === false || args.optionalBoolean("columnsStartAt1") === false)
				throw new RequestError("initialize: lines and columns have to start at 1.");
			const technique = args.optionalWord("vmm", ["none", "trap", "bt", "pv", "hvm"]);
			this.services.run.progress.isWanted = args.optionalBoolean("supportsProgressReporting") ?? false;
			this.isInitialized = true;
			return capabilities(technique);
		},

		launch: async (args, context) => {
			if (!this.isInitialized) throw new RequestError("launch: send initialize first.");
			if (this.services.debuggee.hasMachine)
				throw new RequestError("launch: the machine is there already; use restart.");
			await this.load(readLaunchConfiguration(args));
			context.afterResponse(() => this.services.debuggee.emit("initialized"));
		},

		attach: () => {
			throw new RequestError('attach: Hyperscope brings its own machine; use "request": "launch".');
		},

		configurationDone: (_args, context) => {
			void this.services.debuggee.machine;
			if (this.isConfigured) throw new RequestError("configurationDone: the machine has been started already.");
			this.isConfigured = true;
			context.afterResponse(() => this.begin());
		},

		restart: async (args, context) => {
			void this.services.debuggee.machine;
			const changed = args.optionalObject("arguments");
			const configuration = changed ? readLaunchConfiguration(changed) : this.configuration!;
			// Files are read anew: a kernel that was built again is the one that starts.
			await this.load(configuration);
			this.isConfigured = true;
			context.afterResponse(() => this.begin());
		},

		terminate: (_args, context) => {
			void this.services.debuggee.machine;
			this.switchOff();
			context.afterResponse(() => this.services.debuggee.emit("terminated"));
		},

		disconnect: (_args, context) => {
			this.switchOff();
			context.afterResponse(() => this.services.disconnected());
		},

		"hyperscope/loadSymbols": async (args) => {
			void this.services.debuggee.machine;
			const file = symbolFileRequest(args);
			const { bytes } = await readNamedFile("Symbol file", file.path, this.services.debuggee.host);
			const { program, debuggee } = this.services;
			const opened = this.openSymbolFile(file, bytes, debuggee.machine);
			await program.paths.locate(
				program.ask(() => opened.sourcePaths(), []),
				debuggee.host,
			);
			this.services.forget();
			this.services.breakpointRequests.placeAgain();
			if (debuggee.state === "stopped") debuggee.emit("invalidated", { areas: ["all"] });
			return {
				symbols: program.ask(() => opened.symbols.size, 0),
				hasLines: program.ask(() => opened.sourcePaths().length > 0, false),
			};
		},
	};

	/** The client has gone without a word. */
	abandon(): void {
		this.switchOff();
	}
}
