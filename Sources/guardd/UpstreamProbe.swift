import GuardConfiguration
import NIOCore
import NIOPosix

/// `/readyz?upstream=1`: whether the model server takes connections.
enum UpstreamProbe {
    static func connects(_ url: UpstreamURL) async -> Bool {
        do {
            let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connectTimeout(.seconds(1))
                .connect(host: url.host, port: url.port).get()
            try? await channel.close()
            return true
        } catch {
            return false
        }
    }
}
