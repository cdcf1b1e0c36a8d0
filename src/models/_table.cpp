#include "base/table.h"
#include "models/model.h"

namespace gan::models {

const Model& find_model(std::string_view name) { return base::find_in_table(model_table(), name, "model"); }

}  // namespace gan::models
