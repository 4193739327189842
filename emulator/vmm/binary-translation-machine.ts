// `--vmm bt --mmu shadow`: the guest runs under the VMM's binary translator and shadow page tables.

import type {
	MachineConfiguration,
	MachineStatistics,
	TranslationCacheView,
	VirtualMachine,
} from "../machine/virtual-machine.ts";
import { DeprivilegedMachine } from "./deprivileged-machine.ts";
import { VCPU } from "./hosted-machine.ts";
import { Monitor, type MonitorSurroundings } from "./monitor.ts";
import type { Fragment } from "./translate/fragment.ts";
import { TranslatedExecution } from "./translate/translated-execution.ts";
import type { TranslationCache } from "./translate/translation-cache.ts";
import { CacheView } from "./translation-cache-view.ts";

export class BinaryTranslationMachine extends DeprivilegedMachine<TranslatedExecution> implements VirtualMachine {
	readonly technique = "bt";
	private readonly cacheView = new CacheView();
	readonly translationCache: TranslationCacheView = this.cacheView;

	/** @throws {MachineError} when the image cannot be started. */
	constructor(configuration: MachineConfiguration) {
		super(configuration);
		this.start();
	}

	protected makeMonitor(surroundings: MonitorSurroundings): Monitor<TranslatedExecution> {
		const { memory } = this.configuration;
		return new Monitor(this.host, memory, surroundings, false, (monitor) => new TranslatedExecution(monitor));
	}

	protected attached(): void {
		this.cacheView.attach(this.monitor.kernel.cache, this.monitor.vmm);
	}

	protected override translations(): TranslationCache {
		return this.monitor.kernel.cache;
	}

	protected override translated(fragment: Fragment): void {
		this.events.record("translation", fragment.generation > 0 ? "again" : "first", VCPU, fragment.guestStart, [
			{ name: "fragment", value: fragment.id },
			{ name: "instructions", value: fragment.lines.length },
		]);
		this.breakpoints.translated(fragment);
		if (this.filters.length > 0)
			this.event("translate", `Translated the unit at 0x${fragment.guestStart.toString(16)}`, {});
	}

	statistics(): MachineStatistics {
		const { kernel, statistics } = this.monitor;
		const { cache } = kernel;
		const valid = cache.all().filter((fragment) => fragment.valid);
		const exits = (state: string) =>
			valid.reduce((sum, fragment) => sum + fragment.exits.filter((exit) => exit.state === state).length, 0);
		return {
			...this.hostStatistics(),
			bt: {
				translationUnits: cache.translationUnits,
				fragments: valid.length,
				continuationsLeft: exits("continuation"),
				chained: exits("chained"),
				callouts: kernel.callouts,
				invalidated: cache.invalidated,
				directExecution: statistics.directExecution,
				linked: exits("linked"),
				elided: exits("elided"),
				adapted: kernel.adapted,
				flushes: cache.flushes,
			},
			...this.monitorStatistics(),
		};
	}
}
