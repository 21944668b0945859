import GuardPolicy
import GuardProxy
import Logging
import ServiceLifecycle
import UnixSignals

var options = ProxyOptions()
options.host = "127.0.0.1"
options.port = 18080
options.upstream.port = 18000
let logger = Logger(label: "guardd")
let server = ProxyServer(
    options: options, memory: MemoryGate(limit: options.bufferedBytesMax), logger: logger,
    makeExchange: { Exchange(arrival: $0) }, onBound: { logger.info("bound \($0)") })
try await ServiceGroup(services: [server], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger).run()
