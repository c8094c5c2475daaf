#include "cli/rides.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace espalier::cli {
namespace {

struct CountryPlan {
  std::string_view name;
  double weight;
  std::string_view cities;  ///< the largest first
};
constexpr std::array<CountryPlan, 12> kCountries = {
    {{"germany", 20,
      "berlin hamburg munich cologne frankfurt stuttgart leipzig dresden hanover nuremberg bremen essen dortmund bonn "
      "mainz erfurt "
      "kiel rostock kassel trier ulm jena"},
     {"france", 17,
      "paris marseille lyon toulouse nice nantes lille rennes reims grenoble dijon angers brest metz nancy rouen tours "
      "orleans"},
     {"brazil", 15,
      "sao-paulo rio brasilia salvador fortaleza recife curitiba manaus belem goiania natal campinas maceio santos "
      "londrina"},
     {"india", 14,
      "mumbai delhi bengaluru hyderabad chennai kolkata pune jaipur lucknow kanpur nagpur indore bhopal patna surat "
      "mysuru agra kochi"},
     {"italy", 10,
      "rome milan naples turin palermo genoa bologna florence bari catania venice verona padua trieste parma pisa"},
     {"poland", 7, "warsaw krakow lodz wroclaw poznan gdansk szczecin lublin torun opole"},
     {"kenya", 5, "nairobi mombasa kisumu nakuru eldoret thika malindi kitale"},
     {"chile", 4, "santiago valparaiso concepcion temuco iquique arica talca"},
     {"norway", 3, "oslo bergen trondheim stavanger tromso bodo"},
     {"portugal", 2.5, "lisbon porto braga coimbra faro evora"},
     {"ireland", 1.5, "dublin cork galway limerick"},
     {"iceland", 0.4, "reykjavik akureyri"}}};
constexpr std::array<std::string_view, 4> kVehicles = {"standard", "comfort", "van", "bike"};
constexpr std::array<double, 4> kVehicleUpTo = {0.62, 0.80, 0.90, 1.0};
constexpr std::array<double, 4> kVehicleMinutesPerKm = {0, 0, 0.25, 1.3};
constexpr std::array<std::string_view, 3> kWeathers = {"dry", "rain", "snow"};

std::size_t pick(const std::vector<double>& added_up, double at) {
  const auto found = std::upper_bound(added_up.begin(), added_up.end(), at * added_up.back());
  return std::min<std::size_t>(static_cast<std::size_t>(found - added_up.begin()), added_up.size() - 1);
}

}  // namespace

RideSource::RideSource(std::uint64_t seed) : state_(seed) {
  double weight = 0;
  for (const CountryPlan& plan : kCountries) {
    make_country(plan.name, plan.cities);
    countries_.back().share = weight += plan.weight;
  }
}

// SplitMix64 (Steele, Lea, Flood 2014): the library's distributions differ between machines.
std::uint64_t RideSource::next() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

double RideSource::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

// The sum of twelve uniform numbers: exact additions only, hence the same everywhere.
double RideSource::normal() {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform();
  return sum;
}

void RideSource::make_country(std::string_view name, std::string_view cities) {
  Country country{std::string(name), 0, {}, {}};
  const double minutes_per_km = std::max(1.2, 2.2 + 0.5 * normal());
  const double rush = 0.35 + 0.12 * normal(), rain = 0.15 + 0.06 * normal();
  double weight = 0;
  while (!cities.empty()) {
    const std::string_view city = cities.substr(0, cities.find(' '));
    cities.remove_prefix(std::min(cities.size(), city.size() + 1));
    const double rank = static_cast<double>(country.cities.size() + 1);
    country.cities.push_back({std::string(city), std::max(1.0, minutes_per_km + 0.45 * normal()),
                              std::max(1.0, 4 + 1.5 * normal()), std::max(0.0, rush + 0.15 * normal()),
                              std::max(0.0, rain + 0.08 * normal()), std::max(2.0, 5 + 1.5 * normal())});
    country.shares.push_back(weight += 1 / (rank * rank));
  }
  countries_.push_back(std::move(country));
}

std::string RideSource::header() {
  return "ride_id,country,city,weekday,hour,distance_km,vehicle,weather,passengers,duration_min,split\n";
}

void RideSource::append_row(std::string& to) {
  const double at = uniform() * countries_.back().share;
  const auto country =
      std::find_if(countries_.begin(), countries_.end(), [&](const Country& c) { return at < c.share; });
  const std::size_t place = pick(country->shares, uniform());
  const City& city = country->cities[place];
  const bool names_city = uniform() >= 0.03;
  const auto weekday = static_cast<int>(next() % 7), hour = static_cast<int>(next() % 24);
  const double u = uniform();
  const double distance = city.distance_km * (0.15 + 3.2 * u * u);
  const auto vehicle = static_cast<std::size_t>(std::upper_bound(kVehicleUpTo.begin(), kVehicleUpTo.end(), uniform()) -
                                                kVehicleUpTo.begin());
  const double w = uniform();
  const std::size_t weather = w < 0.7 ? 0 : w < 0.95 ? 1 : 2;
  const bool rush = weekday < 5 && ((hour >= 7 && hour <= 9) || (hour >= 16 && hour <= 18));
  double minutes_per_km = city.minutes_per_km + kVehicleMinutesPerKm[vehicle];
  if (rush && kVehicles[vehicle] != "bike") minutes_per_km *= 1 + city.rush;
  minutes_per_km *= 1 + static_cast<double>(weather) * city.rain;
  const double minutes = std::max(1.0, city.pickup_minutes + distance * minutes_per_km + 1.8 * normal());
  const bool counts_passengers = uniform() >= 0.1;
  const auto passengers = 1 + static_cast<int>(next() % 4);
  const bool test = next() % 5 == 0;

  char line[256];
  char passenger_text[4] = "";
  if (counts_passengers) std::snprintf(passenger_text, sizeof passenger_text, "%d", passengers);
  const int size = std::snprintf(line, sizeof line, "r%08llu,%s,%s,%d,%d,%.2f,%s,%s,%s,%.1f,%s\n",
                                 static_cast<unsigned long long>(ride_++), country->name.c_str(),
                                 names_city ? city.name.c_str() : "", weekday + 1, hour, distance,
                                 std::string(kVehicles[vehicle]).c_str(), std::string(kWeathers[weather]).c_str(),
                                 passenger_text, minutes, test ? "test" : "train");
  to.append(line, static_cast<std::size_t>(size));
}

}  // namespace espalier::cli
