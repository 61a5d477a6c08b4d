/** What `/connect.js` adds to a page: the global `Jackfield`. */

/** An account that was connected. */
export interface JackfieldConnection {
  /** The connection's id: `id_connection` of the API. */
  readonly connectionId: string;
  /** The connector's slug, such as `hubspot`. */
  readonly connector: string;
}

/**
 * Why a link has nothing to connect: its time is over, it has made its one connection, your server took it back, or
 * nobody knows it (any more).
 */
export type JackfieldReason = "expired" | "used" | "revoked" | "unknown";

/** How the overlay ended. */
export interface JackfieldExit {
  /** Whether an account was connected since it was opened. */
  readonly connected: boolean;
  /**
   * Why the page that was shown last had nothing to connect; left away where it had. `refused`: the server does not
   * let pages of this origin show it.
   */
  readonly reason?: JackfieldReason | "refused";
}

/** Something that happened in the overlay. */
export type JackfieldEvent =
  /** A page is shown; `page` says which: `list`, `login`, `accounts`, `connected`, `connection`, `settings`, `fields`, `disconnect`, `closed`. */
  | { readonly type: "ready"; readonly page: string }
  | ({ readonly type: "connected" } & JackfieldConnection)
  | ({ readonly type: "disconnected" } & JackfieldConnection)
  /** The link does not serve (any more); the page says so. Make a new one. */
  | { readonly type: "closed"; readonly reason: JackfieldReason }
  /** The server does not let pages of this origin show the link. */
  | { readonly type: "refused"; readonly origin: string }
  | ({ readonly type: "exit" } & JackfieldExit);

export interface JackfieldOptions {
  /** The `url` that `POST /connect/links` answered, made for this customer by your server. */
  link: string;
  /** An account was connected. The overlay stays open, for settings; `close()` closes it. */
  onSuccess?: (connection: JackfieldConnection) => void;
  /** The overlay was closed, by the customer or by `close()`. */
  onExit?: (exit: JackfieldExit) => void;
  /** Everything that happens, for logs and progress. */
  onEvent?: (event: JackfieldEvent) => void;
}

/** An open overlay. */
export interface JackfieldOverlay {
  /** Closes it; nothing happens where it is closed already. */
  close(): void;
}

export interface JackfieldConnect {
  /** Opens a connect link as an overlay. One that is open is closed. */
  connect(options: JackfieldOptions): JackfieldOverlay;
}

declare global {
  const Jackfield: JackfieldConnect;
  interface Window {
    readonly Jackfield: JackfieldConnect;
  }
}
