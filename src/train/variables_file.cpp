#include "train/variables_file.h"

#include "base/error.h"

namespace gan::train {

void take_variables(const std::string& path, io::Safetensors& file, const std::vector<nn::Variable>& variables,
                    runtime::State& state) {
  for (const nn::Variable& variable : variables) {
    const auto found = file.tensors.find(variable.name);
    if (found == file.tensors.end()) base::fail_data("{}: tensor {} is missing", path, variable.name);
    const graph::TensorType expected{graph::DType::f32, variable.shape};
    if (found->second.type() != expected)
      base::fail_data("{}: tensor {} is {}, expected {}", path, variable.name, to_string(found->second.type()),
                      to_string(expected));
    try {
      io::require_finite(variable.name, found->second);
    } catch (const base::Error& error) {
      base::fail_data("{}: {}", path, error.what());
    }
    state[variable.name] = std::move(found->second);
    file.tensors.erase(found);
  }
  if (!file.tensors.empty())
    base::fail_data("{}: tensor {} does not belong to the model that the file describes", path,
                    file.tensors.begin()->first);
}

}  // namespace gan::train
