// Draws eight samples into a picture: embed_cpp MODEL OUT.pgm [VALUE of each column of the condition ...]
#include <gan/sampler.h>

#include <cstdlib>
#include <exception>
#include <iostream>

#include "../picture.h"

int main(int argc, char** argv) {
  if (argc < 3) return std::cerr << "usage: embed_cpp MODEL OUT.pgm [VALUE ...]\n", 2;
  try {
    const gan::Sampler sampler(argv[1]);
    const gan_description& model = sampler.description();
    if (model.dimensions != 3) return std::cerr << argv[1] << " does not draw images\n", 2;
    gan::Request request;
    request.count = 8;
    for (int i = 3; i < argc; ++i) request.condition.push_back(std::strtof(argv[i], nullptr));
    const std::vector<float> samples = sampler.sample(request);  // [8, channels, height, width]
    if (!write_picture(argv[2], samples.data(), request.count, model.shape, model.low, model.high))
      return std::cerr << argv[2] << " cannot be written\n", 3;
  } catch (const std::exception& error) {
    return std::cerr << error.what() << "\n", 4;
  }
}
