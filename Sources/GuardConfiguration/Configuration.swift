package import GuardBudgets
package import GuardCore

/// The effective configuration of one process: guard.yaml, then the environment, then flags, the later the stronger
/// (DESIGN section 3). One struct for each concern; the initial values are the defaults. Immutable once loaded.
package struct Configuration: Sendable, Hashable {
    /// Of the whole process; `monitor` refuses and edits nothing.
    package var mode = Mode.enforce
    package var listen = Listen()
    package var upstream = Upstream()
    package var unknownModel = UnknownModel.refuse
    /// The first whose `match` or alias fits wins.
    package var models: [Model] = []
    package var tenants = Tenants()
    package var budgets: [Budget] = []
    package var store = Store()
    package var policy = Policy()
    package var unknownFields = UnknownFields.scan
    package var limits = Limits()
    package var drain = Drain()
    package var decisionLog = DecisionLog()
    package var routes: [PassThroughRoute] = []
    package var admin = Admin()

    package init() {}

    package enum UnknownModel: String, Sendable, Hashable, CaseIterable { case refuse, estimate }
    package enum UnknownFields: String, Sendable, Hashable, CaseIterable { case scan, refuse }

    package struct Listen: Sendable, Hashable {
        package var data = ListenAddress(host: "0.0.0.0", port: 8080)
        /// nil: `off`.
        package var health: ListenAddress? = ListenAddress(host: "0.0.0.0", port: 9091)
        /// nil: `off`. Beyond loopback only with `admin.tokenFile`.
        package var admin: ListenAddress? = ListenAddress(host: "127.0.0.1", port: 9090)

        package init() {}
    }

    package struct Upstream: Sendable, Hashable {
        package var url = UpstreamURL(host: "127.0.0.1", port: 8000)
        package var api = UpstreamAPI.auto
        /// What requests without a model name mean.
        package var model: String?
        package var connectTimeout = Duration.seconds(5)
        package var firstByteTimeout = Duration.seconds(600)
        package var streamIdleTimeout = Duration.seconds(120)
        /// After which an unused connection is closed by us. Shorter than uvicorn's 5 s.
        package var idleTimeout = Duration.seconds(4)

        package init() {}
    }

    package enum UpstreamAPI: String, Sendable, Hashable, CaseIterable {
        case auto, openai, vllm, tgi, triton, kserve, ollama, llamacpp, anthropic, sglang, tei

        package var isSupported: Bool {
            switch self {
            case .auto, .openai, .vllm, .tgi: true
            case .triton, .kserve, .ollama, .llamacpp, .anthropic, .sglang, .tei: false
            }
        }
    }

    package struct Model: Sendable, Hashable {
        package var match: Glob
        package var aliases: [String] = []
        /// A model folder or a tokenizer file; nil: this model's tokens cannot be counted exactly.
        package var tokenizer: String?
        package var counting = Counting.hf
        /// Tokens; nil: the server's value.
        package var contextWindow: Int?
        /// Tokens of one prompt; nil: no limit of its own.
        package var maxInputTokens: Int?
        package var defaultCompletionTokens = 1024
        package var deprecation: Deprecation?

        package init(match: Glob) { self.match = match }

        /// Whether a request for `name` means this entry.
        package func covers(_ name: String) -> Bool {
            match.matches(name) || aliases.contains { $0.utf8.elementsEqual(name.utf8) }
        }
    }

    /// Which server renders the prompt (DESIGN decision 7).
    package enum Counting: String, Sendable, Hashable, CaseIterable {
        case hf, hf5, transformers5
        case mistralCommon = "mistral-common"
        case tgi, llamacpp, ollama
    }

    package struct Deprecation: Sendable, Hashable {
        package var date: CalendarDate?
        /// From the start of this day (UTC) the model answers 410 `model_retired`.
        package var sunset: CalendarDate?
        package var successor: String?
    }

    package struct Tenants: Sendable, Hashable {
        /// The first that yields.
        package var from: [TenantSource] = []
        package var known: [KnownTenant] = []
        /// The file that `known` was read from.
        package var knownFile: String?
        package var hashKeyFile: String?
        /// The content of `hashKeyFile`; nil: a key of this process only.
        package var hashKey: Secret?

        package init() {}

        /// - Parameter processKey: used where no key file is given; one for the life of the process, over reloads.
        package func resolver(processKey: TenantHashKey) -> TenantResolver {
            TenantResolver(sources: from, known: known, key: hashKey.map { TenantHashKey($0.bytes) } ?? processKey)
        }
    }

    package struct Store: Sendable, Hashable {
        package enum Kind: String, Sendable, Hashable, CaseIterable { case memory }
        package enum Outage: String, Sendable, Hashable, CaseIterable { case lease, closed, open }

        package var kind = Kind.memory
        /// What happens while a shared store is down; memory never is.
        package var onOutage = Outage.closed
        /// Of the store in memory, see `MemoryBudgetStore.Limits`.
        package var ledgersMax = 262_144

        package init() {}

        package func memoryLimits() -> MemoryBudgetStore.Limits {
            var limits = MemoryBudgetStore.Limits()
            limits.ledgersMax = ledgersMax
            return limits
        }
    }

    package struct Policy: Sendable, Hashable {
        package enum Failure: String, Sendable, Hashable, CaseIterable { case closed, open }
        package enum OnBlock: String, Sendable, Hashable, CaseIterable { case error, contentFilter }

        package var path = "/etc/guard/rules"
        /// False where `path` is the default, which need not exist.
        package var pathIsGiven = false
        package var mode = Mode.enforce
        /// What a scan that could not be completed does: `closed` refuses.
        package var failure = Failure.closed
        package var blockStatus = 400
        /// How a blocked stream ends.
        package var onBlock = OnBlock.error

        package init() {}
    }

    package struct Limits: Sendable, Hashable {
        package var bodyBytes = 33_554_432
        package var responseBytes = 67_108_864
        package var headerBytes = 65_536
        package var jsonDepth = 128
        package var bodyTimeout = Duration.seconds(30)
        package var holdBytes = 65_536
        /// Of all requests together; above it reading pauses, then 503.
        package var bufferedBytes = 268_435_456

        package init() {}
    }

    package struct Drain: Sendable, Hashable {
        /// Connections are still accepted for this long after SIGTERM, with readiness off.
        package var delay = Duration.seconds(5)
        /// Streams may run for this long after SIGTERM; inside the 30 s that Kubernetes gives a pod by default.
        package var timeout = Duration.seconds(25)

        package init() {}
    }

    package struct DecisionLog: Sendable, Hashable {
        /// What a full buffer does: `block` stops admission (503), `drop` counts what is lost.
        package enum OnFull: String, Sendable, Hashable, CaseIterable { case drop, block }

        package enum Sink: Sendable, Hashable {
            case stdout(onFull: OnFull)
            /// - rotateBytes: nil: never rotated.
            case file(path: String, rotateBytes: Int?, onFull: OnFull)
        }

        package var sinks: [Sink] = [.stdout(onFull: .drop)]

        package init() {}
    }

    /// A path that passes unguarded. Guarded endpoints stay guarded whatever stands here.
    package struct PassThroughRoute: Sendable, Hashable {
        /// Of the canonical path.
        package var path: Glob
        package var methods: [String]

        package init(path: Glob, methods: [String] = ["GET", "HEAD"]) { (self.path, self.methods) = (path, methods) }
    }

    package struct Admin: Sendable, Hashable {
        package var tokenFile: String?
        package var token: Secret?

        package init() {}
    }
}

/// Bytes that are never printed.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package var description: String { "(secret)" }
    package var debugDescription: String { "(secret)" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
