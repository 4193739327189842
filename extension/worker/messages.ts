// What the extension and the worker with the adapter and the emulator say to each other. The worker has no file access
// of its own: it asks for files, so that they may lie wherever the editor's file system reaches.

/** From the extension to the worker. */
export type ToWorker =
	| { readonly kind: "protocol"; readonly message: unknown }
	| { readonly kind: "file"; readonly request: number; readonly bytes: Uint8Array }
	| { readonly kind: "fileFailed"; readonly request: number; readonly sentence: string };

/** From the worker to the extension. */
export type FromWorker =
	| { readonly kind: "protocol"; readonly message: unknown }
	| { readonly kind: "readFile"; readonly request: number; readonly path: string };
