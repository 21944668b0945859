// swift-tools-version:6.2
import PackageDescription

// One row a module, from the base up: a row may only name rows above it, so
// dependencies point down only. `.external` products come from the packages below.
struct Module {
    enum Kind {
        case library, executable
        case system(pkgConfig: String, apt: String)
        /// C headers of our own: inline functions, nothing to link.
        case headers
    }
    var name: String
    var kind: Kind = .library
    var uses: [String] = []
    var external: [External] = []
    /// Modules that only its tests import.
    var testUses: [String] = []
    /// Products that only its tests import.
    var testExternal: [External] = []
    var tested = true
    /// Files below its folder that are built into it.
    var embeds: [String] = []
}

struct External {
    var product: String
    var package: String
    init(_ product: String, _ package: String) { (self.product, self.package) = (product, package) }
}

let nio = External("NIOCore", "swift-nio")
let nioPosix = External("NIOPosix", "swift-nio")
let nioHTTP1 = External("NIOHTTP1", "swift-nio")
let nioEmbedded = External("NIOEmbedded", "swift-nio")
let hummingbird = External("Hummingbird", "hummingbird")
let logging = External("Logging", "swift-log")
let crypto = External("Crypto", "swift-crypto")
let lifecycle = External("ServiceLifecycle", "swift-service-lifecycle")
let signals = External("UnixSignals", "swift-service-lifecycle")
let arguments = External("ArgumentParser", "swift-argument-parser")
let httpClient = External("AsyncHTTPClient", "async-http-client")

let modules: [Module] = [
    // base
    Module(name: "CPCRE2", kind: .system(pkgConfig: "libpcre2-8", apt: "libpcre2-dev"), tested: false),
    Module(name: "CYAML", kind: .system(pkgConfig: "yaml-0.1", apt: "libyaml-dev"), tested: false),
    Module(name: "CZLIB", kind: .system(pkgConfig: "zlib", apt: "zlib1g-dev"), tested: false),
    Module(name: "CByteClasses", kind: .headers, tested: false),
    Module(name: "CTextScan", kind: .headers, tested: false),
    Module(name: "GuardCore"),
    Module(name: "GuardJSON", uses: ["GuardCore"]),
    Module(name: "GuardYAML", uses: ["GuardCore", "CYAML"]),
    Module(name: "GuardLLMSchema", uses: ["GuardCore", "GuardJSON"]),
    // engines
    Module(name: "GuardMatching", uses: ["GuardCore", "CPCRE2", "CTextScan"]),
    Module(
        name: "GuardTokenizers", uses: ["GuardCore", "GuardJSON", "GuardMatching", "CByteClasses"], external: [crypto]),
    Module(name: "GuardChatTemplates", uses: ["GuardCore", "GuardJSON"]),
    Module(name: "GuardClassifiers", uses: ["GuardCore"], external: [crypto]),
    Module(
        name: "GuardRules",
        uses: ["GuardCore", "GuardJSON", "GuardYAML", "GuardMatching", "GuardClassifiers", "CTextScan"],
        external: [crypto]),
    Module(
        name: "GuardStreaming",
        uses: ["GuardCore", "GuardJSON", "GuardLLMSchema", "GuardMatching", "GuardRules"]),
    Module(name: "GuardBudgets", uses: ["GuardCore"], external: [crypto]),
    // policy
    Module(name: "GuardTelemetry", uses: ["GuardCore"]),
    Module(name: "GuardDecisionLog", uses: ["GuardCore", "GuardJSON"], external: [crypto]),
    Module(
        name: "GuardPolicy",
        uses: [
            "GuardCore", "GuardJSON", "GuardLLMSchema", "GuardMatching", "GuardTokenizers", "GuardChatTemplates",
            "GuardRules", "GuardStreaming", "GuardBudgets", "GuardDecisionLog", "GuardTelemetry",
        ],
        external: [crypto]),
    // wiring
    Module(
        name: "GuardConfiguration",
        uses: ["GuardCore", "GuardJSON", "GuardYAML", "GuardBudgets"]),
    Module(
        name: "GuardAssembly",
        uses: [
            "GuardCore", "GuardJSON", "GuardBudgets", "GuardConfiguration", "GuardLLMSchema", "GuardTokenizers",
            "GuardChatTemplates", "GuardRules",
            "GuardPolicy",
        ]),
    // authoring of rules: guardctl only
    Module(name: "GuardTOML", uses: ["GuardCore"]),
    Module(
        name: "GuardAuthoring",
        uses: [
            "GuardCore", "GuardJSON", "GuardYAML", "GuardTOML", "GuardMatching", "GuardRules", "GuardBudgets",
            "GuardConfiguration", "GuardLLMSchema",
        ]),
    // edges
    Module(
        name: "GuardProxy",
        uses: [
            "GuardCore", "GuardJSON", "GuardLLMSchema", "GuardPolicy", "GuardBudgets", "GuardDecisionLog",
            "GuardTelemetry", "GuardStreaming", "CZLIB",
        ],
        external: [nio, nioPosix, nioHTTP1, logging, lifecycle]),
    Module(
        name: "GuardAdmin",
        uses: ["GuardCore", "GuardJSON", "GuardLLMSchema", "GuardPolicy", "GuardTelemetry", "GuardTokenizers"],
        external: [hummingbird, nio, logging, lifecycle], testExternal: [nioPosix, nioHTTP1]),
    Module(
        name: "GuardControl",
        uses: [
            "GuardCore", "GuardJSON", "GuardYAML", "GuardLLMSchema", "GuardTokenizers", "GuardChatTemplates",
            "GuardRules", "GuardStreaming", "GuardPolicy", "GuardConfiguration", "GuardAssembly", "GuardBudgets",
            "GuardDecisionLog", "GuardClassifiers", "GuardAuthoring",
        ],
        external: [nio, nioPosix, nioHTTP1, arguments, logging, lifecycle, httpClient, crypto],
        embeds: ["Testing/evasions.yaml"]),
    // executables
    Module(
        name: "guardd", kind: .executable,
        uses: [
            "GuardCore", "GuardConfiguration", "GuardAssembly", "GuardPolicy", "GuardProxy", "GuardAdmin",
            "GuardDecisionLog", "GuardTelemetry", "GuardBudgets", "GuardRules", "GuardJSON",
        ],
        external: [arguments, logging, lifecycle, signals, nioPosix], tested: false),
    Module(
        name: "guardctl", kind: .executable, uses: ["GuardCore", "GuardControl"], external: [arguments], tested: false),
]

let packages: [(name: String, dependency: Package.Dependency)] = [
    ("swift-nio", .package(url: "https://github.com/apple/swift-nio", from: "2.101.2")),
    // `traits: []` leaves full Foundation out of guardd (DESIGN decision 3, kept by Tests/LinkageTests).
    ("hummingbird", .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: [])),
    ("swift-log", .package(url: "https://github.com/apple/swift-log", from: "1.16.2")),
    ("swift-crypto", .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2")),
    (
        "swift-service-lifecycle",
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0")
    ),
    ("swift-argument-parser", .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")),
    ("async-http-client", .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0")),
]

// `GUARD_ONLY=GuardTokenizers,GuardRules swift test` works on some modules without building the rest:
// an engine and its tests build in seconds because nothing of the network stack is even resolved.
let byName = Dictionary(uniqueKeysWithValues: modules.map { ($0.name, $0) })
var wanted = Set(byName.keys)
var testWanted = wanted
if let only = Context.environment["GUARD_ONLY"], !only.isEmpty {
    testWanted = Set(only.split(separator: ",").map(String.init))
    wanted = []
    var queue = Array(testWanted) + ["GuardCore", "CZLIB"]
    while let name = queue.popLast() {
        guard wanted.insert(name).inserted else { continue }
        queue += (byName[name]?.uses ?? []) + (testWanted.contains(name) ? byName[name]?.testUses ?? [] : [])
    }
}

var settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]
if Context.environment["CI"] == "true" { settings.append(.treatAllWarnings(as: .error)) }

var targets: [Target] = []
for module in modules where wanted.contains(module.name) {
    let dependencies: [Target.Dependency] =
        module.uses.map { .byName(name: $0) } + module.external.map { .product(name: $0.product, package: $0.package) }
    switch module.kind {
    case .system(let pkgConfig, let apt):
        targets.append(.systemLibrary(name: module.name, pkgConfig: pkgConfig, providers: [.apt([apt])]))
    case .headers: targets.append(.systemLibrary(name: module.name))
    case .library:
        targets.append(
            .target(
                name: module.name, dependencies: dependencies, resources: module.embeds.map { .embedInCode($0) },
                swiftSettings: settings))
    case .executable:
        targets.append(.executableTarget(name: module.name, dependencies: dependencies, swiftSettings: settings))
    }
    guard module.tested, testWanted.contains(module.name) else { continue }
    targets.append(
        .testTarget(
            name: module.name + "Tests",
            dependencies: [.byName(name: module.name), "GuardTesting"] + dependencies
                + module.testUses.map { .byName(name: $0) }
                + module.testExternal.map { .product(name: $0.product, package: $0.package) },
            swiftSettings: settings))
}
if Context.environment["GUARD_BENCHMARKS"] == "1", wanted.contains("GuardLLMSchema") {
    targets.append(
        .executableTarget(
            name: "events-benchmark", dependencies: ["GuardLLMSchema"], path: "Benchmarks/events/Sources",
            swiftSettings: settings))
}
if Context.environment["GUARD_BENCHMARKS"] == "1", wanted.contains("GuardRules") {
    targets.append(
        .executableTarget(
            name: "rules-benchmark", dependencies: ["GuardCore", "GuardMatching", "GuardRules"],
            path: "Benchmarks/rules/Sources", swiftSettings: settings))
}
if Context.environment["GUARD_BENCHMARKS"] == "1", wanted.contains("GuardStreaming") {
    targets.append(
        .executableTarget(
            name: "streams-benchmark", dependencies: ["GuardCore", "GuardMatching", "GuardRules", "GuardStreaming"],
            path: "Benchmarks/rules/Streams", swiftSettings: settings))
}
targets.append(
    .target(
        name: "GuardTesting", dependencies: ["GuardCore", "CZLIB"], path: "Tests/GuardTesting", swiftSettings: settings))

// `GUARD_BENCHMARKS=1` adds the programs of Benchmarks/; nothing depends on them.
if Context.environment["GUARD_BENCHMARKS"] == "1", wanted.contains("GuardTokenizers") {
    targets.append(
        .executableTarget(
            name: "tokenizer-benchmark", dependencies: ["GuardCore", "GuardTokenizers"],
            path: "Benchmarks/tokenizers/Sources", swiftSettings: settings))
}

let used = Set(modules.filter { wanted.contains($0.name) }.flatMap { $0.external.map(\.package) })

let package = Package(
    name: "guard",
    platforms: [.macOS(.v26)],
    products: modules.compactMap {
        guard case .executable = $0.kind, wanted.contains($0.name) else { return nil }
        return .executable(name: $0.name, targets: [$0.name])
    },
    dependencies: packages.filter { used.contains($0.name) }.map(\.dependency),
    targets: targets,
    swiftLanguageModes: [.v6])
