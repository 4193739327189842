// The kernel of Domain 0 that comes with the program, for `--io split`.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Seen from the bundle in dist, and from this source. */
const places = ["../extension/samples/dom0/dom0.elf", "../samples/dom0/dom0.elf"];

/** Path of the kernel; that of the bundle's place when it is missing, so that reading it says so. */
export function bundledDomain0(): string {
	const paths = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
	return paths.find((path) => existsSync(path)) ?? paths[0]!;
}
