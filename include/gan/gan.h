/* Draws samples from models of gan.cpp, in C. C++ programs may prefer gan/sampler.h. */
#ifndef GAN_GAN_H
#define GAN_GAN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GAN_API __attribute__((visibility("default")))

/* What every function that can fail returns: the exit codes of the program gan. */
typedef enum gan_status {
  GAN_OK = 0,
  GAN_WRONG_USE = 2, /* an argument */
  GAN_BAD_DATA = 3,  /* a file or its content */
  GAN_FAILED = 4     /* memory ran out, or samples are not finite */
} gan_status;

/* A generator with its weights. It does not change after opening: any number of threads may use it at once. */
typedef struct gan_model gan_model;

/* Opens a model file, or the folder of a run. On success *model is the model, which gan_close frees; else NULL. */
GAN_API gan_status gan_open(const char* path, gan_model** model);

/* Opens a model from the contents of a model file; they may be freed or changed afterwards. */
GAN_API gan_status gan_open_memory(const void* data, size_t bytes, gan_model** model);

/* Frees a model, which no thread may be using; NULL is allowed. */
GAN_API gan_status gan_close(gan_model* model);

/* What the last failed call of this thread found wrong, one line; "" before any. Valid until its next failed call. */
GAN_API const char* gan_error(void);

/* The library's version, such as "0.1.0". */
GAN_API const char* gan_version(void);

typedef struct gan_description {
  int64_t latent;     /* elements of a latent */
  int32_t dimensions; /* 3: images [channels, height, width]; 1: vectors [elements] */
  int64_t shape[3];   /* of a sample; 0 behind `dimensions` */
  int64_t elements;   /* of a sample: the product of the shape */
  double low, high;   /* images: the range of the values; 0, 0 for vectors, which come in their units */
  int32_t columns;    /* of the condition; 0: unconditional */
  int64_t steps;      /* for which the model was trained */
} gan_description;

/* Fails only if an argument is NULL. */
GAN_API gan_status gan_describe(const gan_model* model, gan_description* description);

/* A column of the condition or an element of a vector. The strings live as long as the model. */
typedef struct gan_column {
  const char* name;        /* "" for an element without a name */
  const char* unit;        /* such as "degrees"; may be "" */
  int32_t categories;      /* values are 0 to categories - 1; 0: values are numbers in the unit */
  double minimum, maximum; /* numbers: the range seen in the training data */
  double period;           /* numbers: 0, or the period, such as 360 */
} gan_column;

/* Column `index` of the condition, from 0. */
GAN_API gan_status gan_describe_column(const gan_model* model, int32_t index, gan_column* column);

/* Element `index` of a vector, from 0. GAN_WRONG_USE for models of images. */
GAN_API gan_status gan_describe_element(const gan_model* model, int64_t index, gan_column* element);

/* The name of a category of a column, such as "cat", or its position as text. *name lives as long as the model. */
GAN_API gan_status gan_category_name(const gan_model* model, int32_t column, int32_t category, const char** name);

/* How samples are computed. */
typedef enum gan_precision {
  GAN_F32 = 0,  /* samples differ by up to 1e-5 (of a range of 2) with what is drawn in the same call */
  GAN_INT16 = 1 /* weights of dense layers have 16 bits: a single sample takes half the time and differs from GAN_F32's
                   by about 1e-3; a sample of a network of dense layers has the same bits whatever else is drawn.
                   Each call that works at the same time keeps such weights of its own */
} gan_precision;

/* What to draw. All that is not set must be 0, as in  gan_request request = {.count = 20, .condition = labels};  */
typedef struct gan_request {
  int64_t count;          /* samples */
  const float* condition; /* [count, columns]: positions of categories, numbers; NULL if unconditional */
  const float* latents;   /* [count, latent] of the caller; NULL: those of seed and first */
  uint64_t seed;          /* latents are numbers first, first + 1, ... of this seed: each depends on its number alone */
  int64_t first;          /* at least 0 */
  double truncation;      /* of normal latents without `latents`: 0, or at least 0.05, where samples vary least */
  int32_t threads;        /* for batches; 0 or 1: the calling thread alone, best where many threads draw */
  int32_t precision;      /* a gan_precision */
} gan_request;

/* Draws samples [count, elements], images as [channels, height, width]; `elements` is the room in `samples`, of which
   count times the elements of a sample are written. After some calls of the same size a single sample allocates no
   memory, a batch only what its products need while they run. At most as many calls work at once as there are
   processors; others wait. */
GAN_API gan_status gan_sample(const gan_model* model, const gan_request* request, float* samples, size_t elements);

#ifdef __cplusplus
}
#endif

#endif
