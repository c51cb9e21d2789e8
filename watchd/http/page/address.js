// The address names the view, an object in it, and options: "#containers/4f1e…", "#containers?sort=cpu&filter=shop".

/** Return the parts of the current address. */
export function parts() {
  const [path, search = ""] = location.hash.slice(1).split("?", 2);
  const [view, argument = ""] = path.split("/", 2);
  return { view, argument: decoded(argument), search };
}

/** Decode the argument of an address, "" if it is invalid. */
function decoded(argument) {
  try {
    return decodeURIComponent(argument);
  } catch {
    return "";
  }
}

/** Return the link to a view in the navigation, whose address has the options that the view had last. */
export const linkTo = (view) => document.querySelector(`#views a[data-view="${view}"]`);

/** Options of a view, kept in its address: only those that are not the default. */
export class Options {
  constructor(view, defaults) {
    Object.assign(this, { view, defaults });
    const given = new URLSearchParams(parts().search);
    this.values = Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, given.get(name) ?? value]));
  }

  get(name) {
    return this.values[name];
  }

  /** Change options. The address is replaced, so that "back" leaves the view. */
  set(changes) {
    Object.assign(this.values, changes);
    const changed = Object.entries(this.values).filter(([name, value]) => value !== this.defaults[name]);
    const search = new URLSearchParams(changed).toString();
    const hash = `#${this.view}${search && `?${search}`}`;
    history.replaceState(history.state, "", hash);
    linkTo(this.view).hash = hash;
  }
}
