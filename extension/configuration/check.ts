// Checks a launch configuration before a session starts, so that a wrong word gets one clear sentence.
import type { LaunchArguments } from "../../debug-adapter/protocol.ts";

const choices = {
	vmm: ["none", "trap", "bt", "pv", "hvm"],
	mmu: ["shadow", "ept"],
	io: ["direct", "split", "passthrough"],
	engine: ["interpreter", "compiled"],
	serial: ["both", "output", "terminal"],
} as const;

const texts = ["program", "initrd", "append", "firmware", "cdrom"] as const;

const smallestMemory = 1 << 20;
/** Guest-physical memory lies below the devices' range of a 32-bit machine. */
const largestMemory = 3 * 2 ** 30;

/** Bytes that "256M" and its like mean; undefined when it is no such text. */
export function memorySize(value: number | string): number | undefined {
	if (typeof value === "number") return Number.isInteger(value) && value > 0 ? value : undefined;
	const match = /^(\d+)\s*([KMG]?)(?:i?B)?$/i.exec(value.trim());
	if (!match) return undefined;
	return (
		Number(match[1]) * { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[match[2]!.toUpperCase() as "" | "K" | "M" | "G"]
	);
}

/** One sentence that says what is wrong and what to do; undefined when nothing is. */
export function checkConfiguration(configuration: Readonly<Record<string, unknown>>): string | undefined {
	const launch = configuration as LaunchArguments & Record<string, unknown>;
	for (const name of texts)
		if (launch[name] !== undefined && typeof launch[name] !== "string")
			return `"${name}" in the launch configuration must be a text.`;
	for (const [name, allowed] of Object.entries(choices)) {
		const value = launch[name];
		if (value !== undefined && !(allowed as readonly unknown[]).includes(value))
			return `"${name}" in the launch configuration is ${JSON.stringify(value)}; it must be one of ${allowed.join(", ")}.`;
	}
	const disks = launch.disks;
	if (disks !== undefined && !(Array.isArray(disks) && disks.every((disk) => typeof disk === "string")))
		return '"disks" in the launch configuration must be a list of paths.';
	if (!launch.program && !launch.firmware && !(disks && disks.length > 0))
		return 'The launch configuration names nothing to boot: set "program" to a kernel image, or "firmware" or "disks".';
	if (launch.mmu === "ept" && launch.vmm !== "hvm")
		return '"mmu": "ept" needs "vmm": "hvm", as extended page tables are a part of VT-x; use "shadow" with the other techniques.';
	return checkMemory(launch.memory);
}

function checkMemory(memory: unknown): string | undefined {
	if (memory === undefined) return undefined;
	const size = typeof memory === "number" || typeof memory === "string" ? memorySize(memory) : undefined;
	if (size === undefined)
		return `"memory" in the launch configuration is ${JSON.stringify(memory)}; write a number of bytes, or one with K, M or G, such as "256M".`;
	if (size < smallestMemory) return `"memory" is ${memory}, too little for a PC; give the guest at least 1M.`;
	if (size > largestMemory) return `"memory" is ${memory}; the machine has room for at most 3G.`;
	return undefined;
}
