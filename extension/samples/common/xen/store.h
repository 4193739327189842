/* A client of xenstore. One request at a time: the caller waits for its reply; events of watches are counted meanwhile. */
#ifndef STORE_H
#define STORE_H

#include "xen.h"

/* 0 when the domain has no xenstore. */
int store_initialize(void);
/* The value as a string; -1 when the node cannot be read, else its length. */
int store_read(unsigned transaction, const char *path, char *value, unsigned size);
/* A node with a decimal number; -1 when there is none. */
int store_read_number(unsigned transaction, const char *path);
int store_write(unsigned transaction, const char *path, const char *value);
int store_write_number(unsigned transaction, const char *path, unsigned value);
int store_remove(unsigned transaction, const char *path);
/* Names of children, each ended by a zero byte; -1, or bytes. */
int store_directory(unsigned transaction, const char *path, char *names, unsigned size);
int store_watch(const char *path, const char *token);
unsigned store_transaction_start(void);
/* 0 when something came between. */
int store_transaction_end(unsigned transaction);
/* Events of watches so far. */
unsigned store_events(void);
/* Waits until an event of a watch has come after `seen` of them. */
void store_wait(unsigned seen);

/* Takes the events that have come, without waiting; 1 when there was one. */
int store_poll(void);

/* Puts strings together: "a", "/", "b". Ends with a null pointer. */
const char *join(char *buffer, unsigned size, ...);
/* A number as decimal text, in a buffer that the next call uses again. */
const char *decimal(unsigned value);

#endif
