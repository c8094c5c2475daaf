#include <map>

#include "cli/doctor/checks.h"
#include "common/version.h"

namespace espalier::cli {

void check_versions(const Patient& patient, const std::vector<Heard>& heard, Findings& findings) {
  std::map<std::string, std::string> names_by_version = {{std::string(version()), "this command"}};
  for (std::size_t i = 0; i < patient.processes.size(); ++i) {
    const std::string& name = patient.processes[i].name;
    const Code code = heard[i].reply.status().code();
    if (heard[i].reply.ok()) {
      std::string& names = names_by_version[heard[i].reply->version];
      names += (names.empty() ? "" : ", ") + name;
    } else if (heard[i].answers && code == Code::unimplemented) {
      findings.add(Severity::warning, "versions", name, "it is older than this command, and can't say much of itself",
                   "install one version everywhere, one process after the other (docs/operations.md)");
    } else if (heard[i].answers) {
      findings.add(Severity::unknown, "versions", name, "it doesn't say: " + heard[i].reply.status().text(),
                   "name a key that runs the cluster: --key");
    }
  }
  const bool is_one = names_by_version.size() == 1;
  for (const auto& [each, names] : names_by_version) {
    findings.add(is_one ? Severity::ok : Severity::warning, "versions", names, "Espalier " + each,
                 is_one ? "" : "install one version everywhere, one process after the other (docs/operations.md)");
  }
}

}  // namespace espalier::cli
