/* Draws eight samples into a picture: embed_c MODEL OUT.pgm [VALUE of each column of the condition ...]
   Build: cc main.c -o embed_c $(pkg-config --cflags --libs gan) */
#include <gan/gan.h>
#include <stdio.h>
#include <stdlib.h>

#include "../picture.h"

static int failed(const char* message) {
  fprintf(stderr, "%s\n", message);
  return 1;
}

int main(int argc, char** argv) {
  if (argc < 3) return failed("usage: embed_c MODEL OUT.pgm [VALUE ...]");
  gan_model* model = NULL;
  gan_description about;
  if (gan_open(argv[1], &model) != GAN_OK || gan_describe(model, &about) != GAN_OK) return failed(gan_error());
  if (about.dimensions != 3) return failed("the model does not draw images");
  if (argc - 3 != about.columns) return failed("one VALUE is needed for each column of the condition");

  const int64_t count = 8;
  float* samples = malloc((size_t)(count * about.elements) * sizeof(float));
  float* condition = malloc((size_t)(count * about.columns + 1) * sizeof(float)); /* [count, columns] */
  if (!samples || !condition) return failed("out of memory");
  for (int64_t i = 0; i < count * about.columns; ++i) condition[i] = strtof(argv[3 + i % about.columns], NULL);
  const gan_request request = {.count = count, .condition = about.columns ? condition : NULL, .seed = 1};
  if (gan_sample(model, &request, samples, (size_t)(count * about.elements)) != GAN_OK) return failed(gan_error());
  const int written = write_picture(argv[2], samples, count, about.shape, about.low, about.high);

  free(condition);
  free(samples);
  gan_close(model);
  return written ? 0 : failed("the picture cannot be written");
}
