/// Who sent a request.
package struct Tenant: Sendable, Hashable {
    /// Why the name may be believed, or that it may not.
    package enum Standing: String, Sendable, Hashable, CaseIterable {
        /// Proven by cryptography (jwt, mtls; not in this version).
        case verified
        /// The configuration says that whoever sends the header may be believed.
        case trusted
        /// One of `tenants.known`.
        case known
        /// There is a name, and no reason to believe it: all of these share one tenant.
        case unknown
        /// There is no name.
        case anonymous
    }

    /// Names the ledgers, is matched by globs and stands in the record: the known tenant's name, else the plain value,
    /// else the keyed hash in lower-case hex.
    package var id: String
    /// For metrics. Only known tenants have a label of their own; the others are `other`, `unknown`, `anonymous`.
    package var label: String
    package var standing: Standing

    package init(id: String, label: String, standing: Standing) {
        self.id = id
        self.label = label
        self.standing = standing
    }

    package static let unknown = Tenant(id: "unknown", label: "unknown", standing: .unknown)
    package static let anonymous = Tenant(id: "anonymous", label: "anonymous", standing: .anonymous)

    /// Names and labels that no known tenant may have.
    package static let reserved = ["unknown", "anonymous", "other"]
}

/// Where a tenant's name is read from: one entry of `tenants.from`.
package struct TenantSource: Sendable, Hashable {
    package enum Place: Sendable, Hashable {
        /// `authorization: Bearer <token>`.
        case bearer
        /// A header, by its name in lower case.
        case header(String)
    }

    package enum Form: String, Sendable, Hashable, CaseIterable {
        /// HMAC-SHA-256 of the value, in hex.
        case hash
        /// The value itself.
        case plain
    }

    package var place: Place
    package var form: Form
    package var trusted: Bool

    package init(_ place: Place, as form: Form, trusted: Bool = false) {
        self.place = place
        self.form = form
        self.trusted = trusted
    }
}

/// A tenant that the operator has listed.
package struct KnownTenant: Sendable, Hashable {
    /// Its name in ledgers, records and metrics.
    package var name: String
    /// The value that its requests carry, or the value's keyed hash where the source says `as: hash`.
    package var id: String

    package init(name: String, id: String? = nil) {
        self.name = name
        self.id = id ?? name
    }
}
