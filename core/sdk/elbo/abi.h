/* The binary interface between elbo and its plugins, in C.
 *
 * The boundary carries a graph, not tensors: a plugin says which ops follow from which, the host does the rest. Every
 * function returns 0 when it worked; otherwise the host keeps the error and the plugin returns to its caller with a
 * status other than 0. No exception, no C++ type and no ownership crosses. A text or list that a function gives out
 * lives until the next call of the same function; take a copy.
 *
 * Versions: the major must be equal, the host's minor at least the plugin's. A table begins with its size and only ever
 * grows at its end; readers look at no field beyond `size`. What does not belong into a table comes by
 * elbo_host::extension. tests/golden/abi_layout.txt pins every offset; docs/interface.md has what is not in here: ops
 * and their attributes, methods and their operands, facts, queries, and the note's bytes.
 *
 * Threads: one recording is used by one thread. A data set's `read` may be called by several at once.
 */
#ifndef ELBO_ABI_H
#define ELBO_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ELBO_ABI_MAJOR 2
#define ELBO_ABI_MINOR 1
#define ELBO_MAX_RANK 6
#define ELBO_NOTE_MAGIC 0x6f626c65u /* "elbo", little endian */
#define ELBO_NOTE_TYPE 1u

typedef struct elbo_trace elbo_trace;         /* one recording, owned by the host */
typedef struct elbo_part elbo_part;           /* another component, owned by the host */
typedef struct elbo_registrar elbo_registrar; /* takes the components of one plugin while it loads */
typedef int32_t elbo_node;                    /* a node of a recording, from 0 */

/* Where in the plugin's source something was asked for; the text lives as long as the plugin is loaded. */
typedef struct elbo_site {
    const char* file;
    int32_t line;
} elbo_site;

enum { ELBO_BOOL = 0, ELBO_INT = 1, ELBO_REAL = 2, ELBO_TEXT = 3, ELBO_INTS = 4, ELBO_REALS = 5 };

/* A named, typed value: an attribute of an op, a parameter of a component, a fact. `count` is used by lists only. */
typedef struct elbo_value {
    const char* key;
    uint32_t type;
    uint32_t count;
    union {
        int64_t integer; /* ELBO_INT, and ELBO_BOOL as 0 or 1 */
        double real;
        const char* text;
        const int64_t* ints;
        const double* reals;
    } as;
} elbo_value;

/* Flags of a parameter: a bound itself is not allowed; a schedule may stand in for the number (ELBO_REAL only). */
enum { ELBO_LOW_OPEN = 1, ELBO_HIGH_OPEN = 2, ELBO_SCHEDULABLE = 4 };

/* A declared parameter: gives the flag, the config key, the check, the help and the fuzz range. */
typedef struct elbo_param {
    uint32_t size;
    uint32_t flags;
    const char* help;
    elbo_value fallback; /* its key is the name, its type the type */
    double low, high;    /* of each number; infinite when unbounded */
    const char* choices; /* allowed texts separated by '|', or NULL */
} elbo_param;

/* A tensor the host keeps between steps. */
typedef struct elbo_tensor {
    uint32_t size;
    uint32_t rank;
    const char* name; /* within the current scope */
    int64_t dims[ELBO_MAX_RANK];
    const char* init; /* zeros, constant, normal, uniform, glorot_uniform, he_uniform, fan_in_uniform, data_rows */
    double a, b;      /* constant: value; normal: mean, deviation; uniform: low, high; the others: gain */
} elbo_tensor;

/* A message on its way to the host where no recording is at hand. */
typedef struct elbo_why {
    uint32_t size;
    char text[2044];
} elbo_why;

/* Flags of a term: a share of the model's negative bound; a Monte Carlo estimate; [B, L] instead of [B]. */
enum { ELBO_TERM_BOUND = 1, ELBO_TERM_ESTIMATE = 2, ELBO_TERM_PER_LATENT = 4 };
/* A method may give this many values more than it takes. */
#define ELBO_MOST_RESULTS 64
/* Flags of a call: the part is asked on the side, so what it assigns is dropped (a prior that encodes pseudo-inputs).
 */
enum { ELBO_CALL_AUXILIARY = 1 };

typedef struct elbo_component elbo_component;

/* What the host does for plugins. */
typedef struct elbo_host {
    uint32_t size;
    uint16_t major, minor;
    int32_t (*add)(elbo_registrar*, const elbo_component*);
    /* Appends op(in...) to the recording. */
    int32_t (*emit)(elbo_trace*, const char* op, const elbo_node* in, uint32_t n_in, const elbo_value* attributes,
                    uint32_t n_attributes, elbo_site, elbo_node* out);
    int32_t (*shape)(elbo_trace*, elbo_node, int64_t dims[ELBO_MAX_RANK], uint32_t* rank);
    /* A trained tensor; asking again for the same name in the same scope gives the same tensor. */
    int32_t (*parameter)(elbo_trace*, const elbo_tensor*, elbo_site, elbo_node* out);
    /* A tensor that is kept but not trained. Made by an optimizer it is optimizer state; else it belongs to the model
     * (running statistics, codebooks) and is saved with it. */
    int32_t (*state)(elbo_trace*, const elbo_tensor*, elbo_site, elbo_node* out);
    /* What a state will be after this step; reads within the step see the old value. In training programs only. */
    int32_t (*assign)(elbo_trace*, elbo_node state, elbo_node value, elbo_site);
    /* A scalar that changes from step to step: "step" counts 1, 2, 3, ...; "epoch" is the number of epochs done, with a
     * fraction; "steps_per_epoch". */
    int32_t (*input)(elbo_trace*, const char* name, elbo_site, elbo_node* out);
    /* A field of the batch by name, [B, dims of a row]: "x", "labels", "lengths", ... */
    int32_t (*field)(elbo_trace*, const char* name, elbo_site, elbo_node* out);
    /* A schedulable parameter of the part being recorded: `value`, or what its schedule makes of it. A scalar. */
    int32_t (*scheduled)(elbo_trace*, const char* parameter, double value, elbo_site, elbo_node* out);
    /* A fact about the run by key. */
    int32_t (*query)(elbo_trace*, const char* key, elbo_site, elbo_value* out);
    /* The part in a role; it must be of that kind. */
    int32_t (*part)(elbo_trace*, const char* role, const char* kind, elbo_site, elbo_part** out);
    /* A fact about a part by key. */
    int32_t (*property)(elbo_trace*, elbo_part*, const char* key, elbo_site, elbo_value* out);
    /* Records a method of a part. `argument` is a text for methods that take one, else NULL. */
    int32_t (*call)(elbo_trace*, elbo_part*, const char* method, const char* argument, uint32_t flags,
                    const elbo_node* in, uint32_t n_in, elbo_node* out, uint32_t capacity, uint32_t* n_out, elbo_site);
    int32_t (*enter)(elbo_trace*, const char* scope);
    int32_t (*leave)(elbo_trace*);
    /* Names a value per example, [B] in nats, to be reported beside the loss. */
    int32_t (*term)(elbo_trace*, const char* name, elbo_node value, uint32_t flags, elbo_site);
    /* A further objective, [B], minimised over the tensors of the named roles (separated by spaces) by the optimizer in
     * the role `optimizer`; the model's own objective is minimised over all other roles. */
    int32_t (*objective)(elbo_trace*, const char* name, elbo_node value, const char* roles, const char* optimizer,
                         elbo_site);
    /* Adjoints of a scalar with respect to `wrt`, appended to the same recording. */
    int32_t (*gradient)(elbo_trace*, elbo_node scalar, const elbo_node* wrt, uint32_t n, elbo_site, elbo_node* out);
    /* Reports an error; the recording may be NULL where none is at hand. */
    int32_t (*fail)(elbo_trace*, const char* message, elbo_site);
    const char* (*error)(elbo_trace*);
    /* A further table by name, or NULL: how the interface grows. It begins with its size. */
    const void* (*extension)(const char* id);
} elbo_host;

/* The extension of this name: nodes of the trained tensors that the part in a role has made so far in the recording, in
 * order. Writes `capacity` of them at most; *n_out is how many there are. */
#define ELBO_TRAINED "elbo.trained"
typedef struct elbo_trained {
    uint32_t size;
    int32_t (*tensors)(elbo_trace*, const char* role, elbo_site, elbo_node* out, uint32_t capacity, uint32_t* n_out);
} elbo_trained;

enum { ELBO_TRAIN = 0, ELBO_TEST = 1, ELBO_SPLITS = 2 };
enum { ELBO_CONTINUOUS = 0, ELBO_BINARY = 1, ELBO_COUNTS = 2, ELBO_TOKENS = 3, ELBO_CLASSES = 4 };

/* Something every row has: the data "x" itself, "labels", "lengths", ... Whole numbers stand in the same values. */
typedef struct elbo_field {
    uint32_t size;
    uint32_t rank;
    const char* name;
    int64_t dims[ELBO_MAX_RANK]; /* of one row; images are height, width, channels */
    double low, high;            /* all values lie in here; classes are low .. high */
    uint32_t kind;               /* ELBO_CONTINUOUS, ... */
    uint32_t reserved;
    const char*
        names; /* of its values, by ','; ELBO_TOKENS: one per id, by newline, "\\" and "\n" in C's way; or NULL */
} elbo_field;

/* What a data set holds once it is open. Texts and fields live as long as the component. */
typedef struct elbo_rows {
    uint32_t size;
    uint32_t n_fields;
    const elbo_field* fields;   /* "x" is the first */
    int64_t count[ELBO_SPLITS]; /* rows per split; 0 test rows: the host splits */
    const char* files;          /* what was read, one path a line; "" when generated */
} elbo_rows;

typedef struct elbo_data {
    uint32_t size;
    int32_t (*open)(void* self, elbo_rows* out, elbo_why*);
    /* n rows of a field (its number in elbo_rows), one after the other. */
    int32_t (*read)(void* self, uint32_t field, int32_t split, const int64_t* rows, int64_t n, float* out, elbo_why*);
    /* Since 2.1. The same in f64, for values that f32 would round before they are scaled; NULL when f32 holds them. */
    int32_t (*read_f64)(void* self, uint32_t field, int32_t split, const int64_t* rows, int64_t n, double* out,
                        elbo_why*);
} elbo_data;

/* A traced method a component has, with the sizes of what it takes and gives (docs/interface.md). */
typedef struct elbo_method {
    uint32_t size;
    uint32_t flags; /* none yet */
    const char *name, *signature;
} elbo_method;

/* One part a plugin offers. `property` answers 1 for a key it does not know; data sets alone have `data`. */
struct elbo_component {
    uint32_t size;
    uint32_t n_params, n_methods;
    uint32_t reserved;
    const char *kind, *name, *summary;
    const elbo_param* params;
    const elbo_method* methods;
    int32_t (*create)(const elbo_value* values, uint32_t n, void** self, elbo_why*);
    void (*destroy)(void* self);
    int32_t (*property)(void* self, const char* key, elbo_value* out);
    int32_t (*call)(void* self, elbo_trace*, const char* method, const char* argument, const elbo_node* in,
                    uint32_t n_in, elbo_node* out, uint32_t capacity, uint32_t* n_out);
    const elbo_data* data;
};

/* The one symbol a plugin exports, named elbo_plugin. The same facts stand in its ELF note (name "elbo", type 1:
 * magic, major, minor, then "name\nversion\nkind/name kind/name ..."), which the host reads before it loads the file.
 */
typedef struct elbo_entry {
    uint32_t size;
    uint16_t major, minor;
    const char *name, *version;
    int32_t (*init)(const elbo_host*, elbo_registrar*, elbo_why*);
} elbo_entry;

#ifdef __cplusplus
}
#endif
#endif
