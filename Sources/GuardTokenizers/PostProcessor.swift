/// What `addSpecialTokens` puts around the ids of one text.
struct PostProcessor: Sendable, Hashable {
    var prefix: [UInt32] = []
    var suffix: [UInt32] = []
}
