/* The binary interface between elbo and its plugins, in C.
 *
 * The boundary carries a graph, not tensors: a plugin says which ops follow from which, the host does the rest. Every
 * function returns 0 when it worked; otherwise the host keeps the error and the plugin returns to its caller with a
 * status other than 0. No exception, no C++ type and no ownership crosses.
 *
 * Versions: the major must be equal, the host's minor at least the plugin's. A table begins with its size and only ever
 * grows at its end; readers look at no field beyond `size`. tests/golden/abi_layout.txt pins every offset.
 *
 * Threads: one recording is used by one thread. A data set's `read` and `labels` may be called by several at once.
 */
#ifndef ELBO_ABI_H
#define ELBO_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ELBO_ABI_MAJOR 1
#define ELBO_ABI_MINOR 0
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

enum { ELBO_BOOL = 0, ELBO_INT = 1, ELBO_REAL = 2, ELBO_TEXT = 3, ELBO_INTS = 4 };

/* A named, typed value: an attribute of an op or a parameter of a component. `count` is used by ELBO_INTS only. */
typedef struct elbo_value {
    const char* key;
    uint32_t type;
    uint32_t count;
    union {
        int64_t integer; /* ELBO_INT, and ELBO_BOOL as 0 or 1 */
        double real;
        const char* text;
        const int64_t* ints;
    } as;
} elbo_value;

enum { ELBO_LOW_OPEN = 1, ELBO_HIGH_OPEN = 2 };

/* A declared parameter: gives the flag, the config key, the check, the help and the fuzz range. */
typedef struct elbo_param {
    uint32_t size;
    uint32_t flags; /* ELBO_LOW_OPEN, ELBO_HIGH_OPEN: the bound itself is not allowed */
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
    /* A tensor that is kept but not trained (moments, running statistics); `assign` writes it at the end of the step.
     */
    int32_t (*state)(elbo_trace*, const elbo_tensor*, elbo_site, elbo_node* out);
    int32_t (*assign)(elbo_trace*, elbo_node state, elbo_node value, elbo_site);
    /* A scalar that changes from step to step: "step" counts 1, 2, 3, ...; "epoch" is the fraction of epochs done. */
    int32_t (*input)(elbo_trace*, const char* name, elbo_site, elbo_node* out);
    /* Numbers known while recording: "latent", "data.shape", "data.range", "outputs" (values a decoder has to give). */
    int32_t (*query)(elbo_trace*, const char* key, double* values, uint32_t capacity, uint32_t* n);
    int32_t (*part)(elbo_trace*, const char* kind, elbo_site, elbo_part** out);
    int32_t (*property)(elbo_trace*, elbo_part*, const char* key, char* text, uint32_t capacity);
    int32_t (*call)(elbo_trace*, elbo_part*, const char* method, const elbo_node* in, uint32_t n_in, elbo_node* out,
                    uint32_t capacity, uint32_t* n_out, elbo_site);
    int32_t (*enter)(elbo_trace*, const char* scope);
    int32_t (*leave)(elbo_trace*);
    /* Names a value per example, [B] in nats, to be reported beside the loss. */
    int32_t (*term)(elbo_trace*, const char* name, elbo_node value, elbo_site);
    /* Adjoints of a scalar with respect to `wrt`, appended to the same recording. */
    int32_t (*gradient)(elbo_trace*, elbo_node scalar, const elbo_node* wrt, uint32_t n, elbo_site, elbo_node* out);
    int32_t (*fail)(elbo_trace*, const char* message, elbo_site);
    const char* (*error)(elbo_trace*);
} elbo_host;

enum { ELBO_TRAIN = 0, ELBO_TEST = 1, ELBO_SPLITS = 2 };
enum { ELBO_CONTINUOUS = 0, ELBO_BINARY = 1, ELBO_COUNTS = 2, ELBO_TOKENS = 3 };

/* What a data set holds once it is open. Texts live as long as the component. */
typedef struct elbo_rows {
    uint32_t size;
    uint32_t rank;
    int64_t dims[ELBO_MAX_RANK]; /* of one row; images are height, width, channels */
    int64_t count[ELBO_SPLITS];  /* rows per split; 0 test rows: the host splits */
    uint32_t kind;               /* ELBO_CONTINUOUS, ... */
    uint32_t labels;             /* numbers per row that `labels` gives; 0: none */
    double low, high;            /* all values lie in here */
    const char* label_names;     /* separated by ',' */
    const char* files;           /* what was read, one path a line; "" when generated */
} elbo_rows;

typedef struct elbo_data {
    uint32_t size;
    int32_t (*open)(void* self, elbo_rows* out, elbo_why*);
    int32_t (*read)(void* self, int32_t split, const int64_t* rows, int64_t n, float* out, elbo_why*);
    int32_t (*labels)(void* self, int32_t split, const int64_t* rows, int64_t n, double* out, elbo_why*);
} elbo_data;

/* One part a plugin offers. `property` answers 1 for a key it does not know; data sets alone have `data`. */
struct elbo_component {
    uint32_t size;
    uint32_t n_params;
    const char *kind, *name, *summary;
    const elbo_param* params;
    int32_t (*create)(const elbo_value* values, uint32_t n, void** self, elbo_why*);
    void (*destroy)(void* self);
    int32_t (*property)(void* self, const char* key, char* text, uint32_t capacity);
    int32_t (*call)(void* self, elbo_trace*, const char* method, const elbo_node* in, uint32_t n_in, elbo_node* out,
                    uint32_t capacity, uint32_t* n_out);
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
