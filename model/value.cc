#include "model/value.h"

namespace espalier::model {

std::string_view field_type_name(FieldType type) {
  switch (type) {
    case FieldType::number: return "number";
    case FieldType::text: return "text";
  }
  return "unknown";
}

std::string_view task_name(Task task) {
  switch (task) {
    case Task::regression: return "regression";
    case Task::binary: return "binary";
    case Task::multiclass: return "multiclass";
  }
  return "unknown";
}

}  // namespace espalier::model
